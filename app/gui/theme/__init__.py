"""How the window looks: tokens, palettes, style sheet, fonts, icons. No widget of its own."""
