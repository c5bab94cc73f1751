"""Synthetic pictures (112 x 112): coloured shapes to count and name, and large numbers or letters; English and Chinese.

A picture's composition (which shapes in which colours, or which text in which colour) belongs to training or test by
its hash, so a test composition is never trained on. That is harder than a split on seeds: see the README.
"""
# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import math
import random
import zlib
from collections import Counter
from dataclasses import dataclass, field

from PIL import Image, ImageDraw, ImageFont

SIZE = 112
CELL = 28  # one image token
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (40, 80, 220),
    "yellow": (235, 210, 40),
    "purple": (140, 50, 170),
    "orange": (240, 140, 30),
    "black": (20, 20, 20),
    "white": (245, 245, 245),
}
ZH_COLOURS = dict(zip(COLOURS, "红色 绿色 蓝色 黄色 紫色 橙色 黑色 白色".split(), strict=True))
ZH_SHAPES = {"circle": "圆形", "square": "正方形", "triangle": "三角形", "star": "星形"}
SHAPES = list(ZH_SHAPES)
DIGITS, LETTERS = "0123456789", "ABCDEFGHKLMNPRSTUVXYZ"
CLASSES = {name: index for index, name in enumerate([*SHAPES, *COLOURS, *DIGITS, *LETTERS])}
BACKGROUNDS = [(200, 200, 200), (170, 200, 220), (225, 205, 180), (180, 215, 180), (120, 120, 125)]


@dataclass
class Scene:
    """A picture, (question, answer, kind) about it, and (image token, class) for the auxiliary loss."""

    image: Image.Image
    questions: list[tuple[str, str, str]] = field(default_factory=list)
    cells: list[tuple[int, int]] = field(default_factory=list)

    def mark(self, x: float, y: float, *names: str) -> None:
        row, column = (min(SIZE // CELL - 1, max(0, int(at // CELL))) for at in (y, x))
        self.cells += [(row * (SIZE // CELL) + column, CLASSES[name]) for name in names]


def draw_shape(draw: ImageDraw.ImageDraw, shape: str, x: float, y: float, size: float, colour: tuple) -> None:
    if shape == "circle":
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
    elif shape == "square":
        half = size * 0.85
        draw.rectangle((x - half, y - half, x + half, y + half), fill=colour)
    elif shape == "triangle":
        draw.polygon([(x, y - size), (x - size, y + size * 0.8), (x + size, y + size * 0.8)], fill=colour)
    else:
        points = [(size * (1.1 if i % 2 == 0 else 0.45), i * math.pi / 5) for i in range(10)]
        draw.polygon([(x + r * math.sin(a), y - r * math.cos(a)) for r, a in points], fill=colour)


def make_scene(rng: random.Random, split: str, easy: bool = False) -> Scene:
    """A random scene of `split`; `easy`: one or two shapes, or one centred digit."""
    while True:
        if rng.random() < 0.55:
            count = rng.randint(1, 2 if easy else 6)
            kinds = rng.sample(SHAPES, 2 if count > 1 and rng.random() < 0.7 else 1)
            objects = [(rng.choice(kinds), rng.choice(list(COLOURS))) for _ in range(count)]
            signature: tuple = ("s", tuple(sorted(objects)))
            text = colour = ""
        else:
            objects, text, colour = [], make_text(rng, easy), rng.choice(list(COLOURS))
            signature = ("t", text, colour)
        if (zlib.crc32(repr(signature).encode()) % 8 == 0) == (split == "test"):
            break
    scene = Scene(Image.new("RGB", (SIZE, SIZE), jitter(rng, rng.choice(BACKGROUNDS))))
    if objects:
        add_shapes(rng, scene, objects)
    else:
        add_text(rng, scene, text, colour, easy)
    rng.shuffle(scene.questions)
    del scene.questions[4:]
    return scene


def make_text(rng: random.Random, easy: bool) -> str:
    if easy:
        return rng.choice(DIGITS)
    if rng.random() < 0.6:
        return "".join(rng.choices(DIGITS, k=rng.randint(1, 3)))
    return "".join(rng.choices(LETTERS, k=rng.randint(1, 2)))


def jitter(rng: random.Random, colour: tuple, by: int = 15) -> tuple:
    return tuple(max(0, min(255, value + rng.randint(-by, by))) for value in colour)


def add_shapes(rng: random.Random, scene: Scene, objects: list[tuple[str, str]]) -> None:
    draw = ImageDraw.Draw(scene.image)
    places = [(i, j) for i in range(3) for j in range(3)]
    rng.shuffle(places)
    for (shape, colour), (i, j) in zip(objects, places, strict=False):
        x, y = 19 + i * 37 + rng.uniform(-2, 2), 19 + j * 37 + rng.uniform(-2, 2)
        draw_shape(draw, shape, x, y, rng.uniform(11, 16), jitter(rng, COLOURS[colour]))
        scene.mark(x, y, shape, colour)
    ask = Asker(rng, scene)
    shapes, colours = Counter(shape for shape, _ in objects), Counter(colour for _, colour in objects)
    for shape in SHAPES:
        if shape in shapes or rng.random() < 0.15:
            ask("count", str(shapes[shape]), f"How many {shape}s are there?", f"有几个{ZH_SHAPES[shape]}？")
    for shape, colour in objects:
        if shapes[shape] == 1:
            question_zh = f"{ZH_SHAPES[shape]}是什么颜色？"
            ask("colour", colour, f"What colour is the {shape}?", question_zh, ZH_COLOURS[colour])
        if colours[colour] == 1:
            question_zh = f"{ZH_COLOURS[colour]}的是什么形状？"
            ask("shape", shape, f"Which shape is {colour}?", question_zh, ZH_SHAPES[shape])
    ask("total", str(len(objects)), "How many shapes are there?", "一共有几个图形？")


def add_text(rng: random.Random, scene: Scene, text: str, colour: str, easy: bool) -> None:
    draw = ImageDraw.Draw(scene.image)
    low, high = (70, 80) if easy else (48, 60) if len(text) > 2 else (54, 80)
    font = ImageFont.load_default(size=rng.randint(low, high))
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    width, height = right - left, bottom - top
    if easy:
        x = (SIZE - width) / 2 - left + rng.uniform(-6, 6)
        y = (SIZE - height) / 2 - top + rng.uniform(-6, 6)
    else:
        x = rng.uniform(3, max(4, SIZE - width - 3)) - left
        y = rng.uniform(3, max(4, SIZE - height - 3)) - top
    draw.text((x, y), text, font=font, fill=jitter(rng, COLOURS[colour]))
    for index, char in enumerate(text):
        middle = draw.textlength(text[:index], font=font) + draw.textlength(char, font=font) / 2
        scene.mark(x + middle, y + top + height / 2, char, colour)
    ask = Asker(rng, scene)
    if text.isdigit():
        ask("number", text, "Which number is shown?", "图中的数字是多少？")
    else:
        ask("letters", text, "Which letters are shown?", "图中的字母是什么？")
    ask("textcolour", colour, "What colour is the text?", "文字是什么颜色？", ZH_COLOURS[colour])


class Asker:
    """Adds a question in one of the two languages."""

    def __init__(self, rng: random.Random, scene: Scene) -> None:
        self.rng, self.scene = rng, scene

    def __call__(self, kind: str, answer: str, question_en: str, question_zh: str, answer_zh: str = "") -> None:
        english = self.rng.random() < 0.6
        pair = (question_en, answer) if english else (question_zh, answer_zh or answer)
        self.scene.questions.append((*pair, kind))
