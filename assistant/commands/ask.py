"""Ask one question and print the answer.

The daemon that runs is asked; where none runs, a private one is started for this question (--profile). The question
stands for itself: it belongs to no earlier conversation.
"""

import argparse
import os
import sys
from pathlib import Path

import msgspec

from assistant.commands import _talk
from assistant.messages import ReplyToken
from assistant.wire import Received


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("question")
    parser.add_argument("--camera", default="", metavar="NAME", help="ask about this camera instead of the default one")
    parser.add_argument("--image", type=Path, help="ask about this picture file instead of what the camera shows")
    parser.add_argument("--json", action="store_true", help="print one JSON object with the answer and its figures")
    _talk.arguments(parser)


def run(asked: argparse.Namespace) -> int:
    picture = _talk.picture(asked.image) if asked.image else None
    with _talk.connected(asked, f"cli-{os.getpid()}") as client:
        camera = client.show(picture) if picture is not None else asked.camera
        messages: list[Received] = []
        for received in client.ask(asked.question, camera):
            messages.append(received)
            if isinstance(received.message, ReplyToken) and not asked.json:
                print(received.message.text, end="", flush=True)
    answer = _talk.answer(asked.question, messages)
    if asked.json:
        print(msgspec.json.encode(answer).decode())
        return answer.code
    # What was never generated (a fixed sentence) was not streamed either.
    streamed = any(isinstance(received.message, ReplyToken) for received in messages)
    print("" if streamed else answer.answer)
    if answer.detail:
        print(f"({answer.detail})", file=sys.stderr)
    return answer.code
