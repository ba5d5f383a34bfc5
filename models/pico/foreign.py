"""Sentences that have nothing to do with the toy world, for the model to decline."""

from __future__ import annotations

import random

from models.pico.dialogue import Language


def _parts(text: str) -> list[str]:
    return text.strip().replace("\n", "|").split("|")


ENGLISH = _parts("""
what is the capital of france|tell me a joke|how is the weather today|will it rain tomorrow|play some music
who won the game|what time is it|how old are you|open the window|close the door|call my mother
write a poem about the sea|set a timer for ten minutes|turn on the radio|what is two plus two|do you like pizza
how far is the moon|why is the sky blue|tell me the news|sing a song|where do you live|translate this sentence
how do i cook rice|i am hungry|i love you|what day is it|who is the president|good night
can you help me with my homework|what should i wear|order a taxi|how much does it cost|read my email
what is the meaning of life|i went to the market yesterday|the cat sat on the mat|my brother plays football
remind me to buy milk|how do you spell banana|what is the tallest mountain|is there life on mars
how many people live in china|what language do you speak|book a flight to london|tell me a story|let us go home
this is very nice|i do not understand|what happened yesterday|who wrote this book|can you drive
how many legs does a spider have|what is on television tonight|where is my phone|where are my keys
is the shop open|are you happy
""")
CHINESE = _parts("""
今天天气怎么样|明天会下雨吗|给我讲个笑话|放一首歌|现在几点了|你几岁了|你喜欢吃什么|打开窗户|关上门|给妈妈打电话
法国的首都是哪里|月亮有多远|天为什么是蓝的|帮我写一首诗|一加一等于几|你住在哪里|我饿了|我爱你|今天星期几
怎么做米饭|帮我订一张机票|中国有多少人|你会说英语吗|讲个故事吧|我的手机在哪里|商店开门了吗|昨天发生了什么
谁写了这本书|我听不懂|晚安|帮我翻译一下|这个多少钱|世界上最高的山是什么|他们去哪儿了|我想回家|提醒我买牛奶
""")
NOUNS_EN = _parts("""
dog|cat|car|tree|house|person|man|woman|chair|table|phone|book|bird|apple|banana|window|door|computer|plane
train|river|mountain|flower|horse|fish|cake|shoe|hat|pen|knife|spoon|plate|sofa|bed|boy|girl|bus|boat|ring|box
star|key|clock
""")
NOUNS_ZH = _parts("""
狗|猫|汽车|树|房子|人|男人|女人|椅子|手机|书|鸟|苹果|香蕉|窗户|门|电脑|飞机|火车|河|山|花|马|鱼|蛋糕|鞋|帽子|笔
刀|勺子|盘子|沙发|床|船|钥匙|钟
""")
FRAMES_EN = (
    "what color is the {}", "is there a {}", "how many {}s are there", "where is the {}", "what is left of the {}",
    "and the {}", "is there a red {}", "is there a {} ball", "do you like the {}", "i have a {}",
)  # fmt: skip
FRAMES_ZH = ("{}是什么颜色", "有{}吗", "有几个{}", "{}在哪里", "{}的左边是什么", "{}呢", "有红色的{}吗", "我有一个{}")
COLORS_EN = ("orange", "pink", "brown", "golden", "silver", "turquoise")


def _gibberish(rng: random.Random) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return " ".join("".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(rng.randint(1, 5)))


def sentence(rng: random.Random, language: Language) -> str:
    """One foreign sentence; some have the shape of a question of the toy world, about what it does not hold."""
    pick = rng.random()
    if language == "zh":
        return rng.choice(FRAMES_ZH).format(rng.choice(NOUNS_ZH)) if pick < 0.4 else rng.choice(CHINESE)
    if pick < 0.4:
        frame = rng.choice(FRAMES_EN)
        return frame.format(rng.choice(COLORS_EN if frame.endswith(" ball") else NOUNS_EN))
    if pick < 0.55:
        return _gibberish(rng)
    if pick < 0.65:
        words = rng.choice(ENGLISH).split() + rng.choice(ENGLISH).split()
        return " ".join(rng.sample(words, min(len(words), rng.randint(2, 7))))
    return rng.choice(ENGLISH)
