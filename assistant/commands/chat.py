"""Talk to the assistant with the keyboard; it is the same conversation as the spoken one.

The daemon that runs is used; where none runs, a private one is started (--profile) and ended with this command. A
number asks a preset question; anything else is a question, unless it is one of: clear, /image PATH, /camera, help,
exit.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

from assistant.client import Client, Unavailable
from assistant.commands import OK, Failure, _talk
from assistant.core.personas import PRESETS
from assistant.messages import LIVE, ReplyToken
from assistant.wire import BusError, Received

HELP = """\
  1, 2, …       ask that preset question
  /image PATH   ask about this picture file from now on
  /camera       ask about what the camera shows again
  clear         forget the conversation
  help          show this and the preset questions
  exit          leave (also Ctrl-D)
Anything else is asked as it stands."""


def arguments(parser: argparse.ArgumentParser) -> None:
    _talk.arguments(parser)


def run(asked: argparse.Namespace) -> int:
    console = Console(highlight=False, soft_wrap=True)
    if sys.stdin.isatty():
        console.print("[dim]one moment …[/]")
    with _talk.connected(asked, LIVE, ("dialogue",)) as client:
        chat = Chat(client, console)
        chat.help()
        while (line := _read()) is not None:
            try:
                if not chat.obey(line.strip()):
                    break
            except (Unavailable, BusError, Failure) as error:
                console.print(f"[red]{error}[/]")
        return OK


class Chat:
    def __init__(self, client: Client, console: Console) -> None:
        self._client, self._console = client, console
        self._camera = ""  # "": the daemon's own
        self._picture = b""

    def help(self) -> None:
        self._console.print(HELP, style="dim", markup=False)
        for number, preset in enumerate(PRESETS, 1):
            self._console.print(f"[cyan]{number:3}[/]  {preset}")

    def obey(self, line: str) -> bool:
        """Do what a line says; False to leave."""
        word, _, rest = line.partition(" ")
        match word.lower():
            case "":
                pass
            case "exit" | "quit" | "/exit" | "退出":
                return False
            case "help" | "/help" | "?" | "帮助":
                self.help()
            case "clear" | "/clear" | "清空" if not rest:
                done = self._client.clear()
                self._console.print("[dim]forgotten[/]" if done else "[red]that was not confirmed[/]")
            case "/image":
                self._picture = _talk.picture(Path(rest.strip()).expanduser())
                self._camera = self._client.show(self._picture)
                self._console.print(f"[dim]looking at {rest.strip()}; /camera goes back[/]")
            case "/camera":
                self._camera, self._picture = "", b""
                self._console.print("[dim]looking at the camera[/]")
            case _ if word.startswith("/"):
                self._console.print(f"[red]there is no command {word}; help lists them[/]")
            case _:
                self._ask(_preset(line))
        return True

    def _ask(self, question: str) -> None:
        if question != "":
            messages: list[Received] = []
            for received in self._client.ask(question, self._camera, self._picture):
                messages.append(received)
                if isinstance(received.message, ReplyToken):
                    self._console.print(received.message.text, end="", markup=False)
            answer = _talk.answer(question, messages)
            streamed = any(isinstance(received.message, ReplyToken) for received in messages)
            self._console.print("" if streamed else answer.answer, markup=False)
            told = " · ".join(filter(None, (answer.figures(), answer.detail)))
            self._console.print(told, style="dim", markup=False)


def _preset(line: str) -> str:
    number = int(line) if line.isascii() and line.isdigit() else 0
    return PRESETS[number - 1] if 1 <= number <= len(PRESETS) else line


def _read() -> str | None:
    try:
        return input("> " if sys.stdin.isatty() else "")
    except EOFError:
        return None
