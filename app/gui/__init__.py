"""The window: Qt Widgets over the services. The only package that imports PySide6; decides nothing."""
