"""The console in a real browser, before the real daemon of the demo."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from assistant.messages import CameraState, Message, MicrophoneState
from tests.conftest import need
from tests.e2e import console
from tests.e2e.console import ELSEWHERE, WATCH, Desk
from tests.gateway import door

# Nothing moves for its own sake: drawing that without a graphics card costs more than the rest.
DESK = {"locale": "en-GB", "viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
QUESTION = "what-color-is-the-ball"
PATIENCE_MS = 60_000
OPEN = "#hold[data-state=idle]:enabled"


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    if console.browser_path() is None:
        need("chromium")
    pytest.importorskip("playwright")
    with console.desk() as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    return console.said(QUESTION, tmp_path_factory.mktemp("said"))


@pytest.fixture(scope="module")
def browser(desk: Desk, recording: tuple[Path, float]) -> Iterator[Any]:
    with console.chromium(recording[0]) as running:
        yield running


@pytest.fixture(scope="module")
def still(browser: Any, desk: Desk) -> Iterator[Any]:
    """A page for tests that leave it as it is."""
    looked = Looked(browser, desk.url)
    looked.page.wait_for_selector(OPEN)
    yield looked.page
    looked.context.close()


class Looked:
    """A page, and what went wrong on it or left for elsewhere."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.context = browser.new_context(**{**DESK, **options})
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.goto(url, wait_until="commit")

    def ask(self, text: str) -> Any:
        """Ask by text; gives the turn once its answer is complete."""
        before = self.page.locator("article.turn").count()
        self.page.fill("#question", text)
        self.page.press("#question", "Enter")
        turn = self.page.locator("article.turn").nth(before)
        self.page.wait_for_function("n => document.querySelectorAll('article.turn:not(.open)').length > n", arg=before)
        return turn


@pytest.fixture
def look(browser: Any, desk: Desk) -> Iterator[Any]:
    opened: list[Looked] = []

    def open_one(url: str = desk.url, until: str = OPEN, **options: Any) -> Looked:
        opened.append(Looked(browser, url, **options))
        opened[-1].page.wait_for_selector(until)
        return opened[-1]

    yield open_one
    for one in opened:
        one.context.close()


def test_a_question_is_answered_with_the_picture_that_it_is_about(look: Any, desk: Desk) -> None:
    looked = look()
    page = looked.page
    turn = looked.ask("what color is the ball")
    assert "red" in turn.locator(".answer").inner_text()
    assert "what color is the ball" in turn.locator(".question").inner_text().lower()
    page.wait_for_function("() => document.querySelector('article.turn .thumb img')?.naturalWidth > 0")
    page.wait_for_function("() => document.querySelector('#answer-image').naturalWidth > 0")
    page.wait_for_function("() => document.querySelector('#live .stream')?.dataset.frames > 1")
    page.wait_for_selector("#answer-facts .tag")
    page.wait_for_selector("#waterfall svg rect.bar")
    assert "red" in page.locator("#announced").inner_text()  # to who listens to the page
    assert looked.errors == []
    assert looked.hosts == {urlsplit(desk.url).netloc}
    assert page.evaluate("seen.refused") == []


def test_an_answer_streams_in(look: Any) -> None:
    looked = look()
    looked.page.evaluate(
        """() => { window.lengths = new Set();
        new MutationObserver(() => document.querySelectorAll('article.turn:last-of-type .answer')
          .forEach((node) => lengths.add(node.textContent.length)))
          .observe(document.querySelector('#log'), {childList: true, subtree: true, characterData: true}); }"""
    )
    looked.ask("what do you see")
    assert looked.page.evaluate("lengths.size") > 2


def test_talking_is_heard_and_answered_aloud_in_the_browser(look: Any, recording: tuple[Path, float]) -> None:
    looked = look()
    page = looked.page
    talk(page, recording[1])
    page.wait_for_selector("article.turn:not(.open)")
    assert "ball" in page.locator("article.turn .question").inner_text().lower()
    assert "red" in page.locator("article.turn .answer").inner_text()
    page.wait_for_function(
        """() => { const last = seen.sounds.at(-1);
        return last && document.body.dataset.phase === 'idle'
          && seen.context.currentTime >= last.when + last.duration - 0.05; }"""
    )
    assert page.evaluate("seen.context.state") == "running"
    assert "speaking" in page.evaluate("seen.phases")
    sounds = page.evaluate("seen.sounds")
    assert max(sound["peak"] for sound in sounds) > 0.05  # it is no silence
    for before, after in itertools.pairwise(sounds):
        # One follows the other to the sample; what came too late for that (the machine has much else to do) at once.
        end = before["when"] + before["duration"]
        if after["now"] < end:
            assert after["when"] == pytest.approx(end, abs=1e-4)
        else:
            assert after["when"] == pytest.approx(after["now"], abs=0.1)
    assert "first sound" in page.locator("article.turn .meta").inner_text()
    assert looked.errors == []


def test_stop_silences_the_browser_at_once(look: Any, recording: tuple[Path, float]) -> None:
    page = look().page
    page.evaluate("() => { seen.atSound = () => document.querySelector('#stop').click(); }")
    talk(page, recording[1])
    page.wait_for_function("() => seen.stopped > 0")
    page.wait_for_selector("body[data-phase=idle]")
    played = page.evaluate("seen.sounds.length")
    page.wait_for_selector("article.turn:not(.open)")
    page.wait_for_selector(OPEN)
    assert page.evaluate("seen.sounds.length") == played


def talk(page: Any, seconds: float) -> None:
    """Hold the button until the browser's microphone has given all that there is to hear."""
    page.wait_for_selector(OPEN)
    page.hover("#hold")
    page.mouse.down()
    page.wait_for_selector("#hold[data-state=listening]")
    page.wait_for_function("n => seen.sent > n * 48000 * 0.9 || seen.sent > n * 44100 * 1.1", arg=seconds)
    page.mouse.up()


def test_a_microphone_that_is_muted_is_closed_and_stays_so_for_everyone(look: Any, desk: Desk) -> None:
    first, second = look(), look(locale="zh-CN")
    desk.client.bus.listen(MicrophoneState, CameraState)
    for device, kind in (("microphone", MicrophoneState), ("camera", CameraState)):
        for muted in (True, False):
            first.page.click(f"#mute-{device}")
            state = desk.client.bus.wait_for(kind, 30.0, _muted if muted else _open)
            assert state is not None, f"{device} was not {'closed' if muted else 'opened'}"
            for looked in (first, second):
                looked.page.wait_for_selector(f"#mute-{device}[aria-pressed={str(muted).lower()}]:not([aria-busy])")
            if device == "camera" and muted:
                first.page.wait_for_selector("#live[data-state=muted] .veil")
                assert first.page.locator("#live .stream").count() == 0
                assert "closed" in first.page.locator("#live-why").inner_text()
            if device == "microphone" and muted:
                assert first.page.locator("#device-closed").is_visible()
    first.page.wait_for_selector("#live[data-state=live] .stream")


# --- when things go wrong ---


def test_the_page_comes_back_when_the_gateway_does(look: Any, desk: Desk) -> None:
    page = look().page
    desk.kill_gateway()
    page.wait_for_selector("#banner[data-state=lost]:visible")
    assert page.locator("#hold").is_disabled()
    assert page.locator("#live .stream").count() == 0
    page.wait_for_selector(OPEN)
    page.wait_for_selector("#banner", state="hidden")
    page.wait_for_function("() => document.querySelector('#live .stream')?.dataset.frames > 1")
    page.fill("#question", "what color is the cube")
    page.click("#send")
    page.wait_for_function(
        "() => /blue/.test(document.querySelector('article.turn:last-of-type .answer')?.textContent)"
    )


def test_a_page_without_a_microphone_says_why_and_what_to_do(look: Any, desk: Desk) -> None:
    """Beyond this machine and without HTTPS a browser gives none."""
    page = look(desk.url.replace("127.0.0.1", ELSEWHERE)).page
    assert not page.evaluate("isSecureContext")
    assert f"https://{ELSEWHERE}" in page.locator("#hold-why").inner_text()
    assert "device" in page.locator("#hold-text").inner_text()


def test_who_has_no_token_is_asked_for_it(look: Any, runtime: Path) -> None:
    with door.opened(runtime, door.TOKEN) as gateway:
        page = look(gateway.url, "#signin:visible").page
        assert page.locator("#console").is_hidden()
        page.fill("#token", "something else")
        page.press("#token", "Enter")
        page.wait_for_function("() => document.querySelector('#signin-why').textContent !== ''")
        page.fill("#token", door.TOKEN)
        page.press("#token", "Enter")
        page.wait_for_selector("#console:visible")
        assert door.TOKEN not in page.evaluate("document.cookie + JSON.stringify({...localStorage})")
        page.reload()
        page.wait_for_selector("#mute-microphone:visible")
        page.click("#signout")
        page.wait_for_selector("#signin:visible")


HOSTILE = (
    "<script>window.harmed = 1</script>",
    "<img src=x onerror='window.harmed = 1'>",
    "<svg/onload=window.harmed=1>",
    "[a](javascript:window.harmed=1)",
    "[a](data:text/html,<script>window.harmed=1</script>)",
    "![a](http://elsewhere.invalid/x.png)",
    "<a href='javascript:window.harmed=1'>x</a>",
    "`</code><script>window.harmed = 1</script>`",
    "```\n</pre><script>window.harmed = 1</script>\n```",
    "| a | <iframe srcdoc='<script>parent.harmed=1</script>'> |\n|---|---|\n| <b onclick=harmed=1>x</b> | y |",
    '" onmouseover="window.harmed=1',
)
SAFE = {"P", "BR", "HR", "CODE", "PRE", "STRONG", "EM", "S", "A", "UL", "OL", "LI", "BLOCKQUOTE"}
SAFE |= {"DIV", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"}


def test_markup_in_an_answer_stays_text(still: Any) -> None:
    drawn = still.evaluate(
        """async (texts) => { const { render } = await import('/static/markdown.js');
        return texts.map((text) => { const place = document.body.appendChild(document.createElement('div'));
          place.append(render(text));
          const all = [...place.querySelectorAll('*')];
          return { tags: all.map((one) => one.tagName),
            links: all.map((one) => one.getAttribute('href')).filter(Boolean),
            attributes: all.flatMap((one) => one.getAttributeNames()), text: place.textContent }; }); }""",
        list(HOSTILE),
    )
    for one in drawn:
        assert set(one["tags"]) <= SAFE
        assert one["links"] == []
        assert set(one["attributes"]) <= {"class", "tabindex", "start"}
    assert "<script>window.harmed = 1</script>" in drawn[0]["text"]
    assert still.evaluate("window.harmed") is None
    assert still.evaluate("seen.refused") == []


def test_markup_in_a_question_stays_text(look: Any) -> None:
    looked = look()
    text = "".join(HOSTILE[:3])
    turn = looked.ask(text)
    assert text in turn.locator(".question").inner_text()
    assert turn.locator(".question script, .question img, .question svg, .answer script, .answer img").count() == 0
    assert looked.page.evaluate("window.harmed") is None
    assert looked.errors == []


MARKDOWN = {
    "a **b** and *c* or `d`": "<p>a <strong>b</strong> and <em>c</em> or <code>d</code></p>",
    "- one\n- two": "<ul><li><p>one</p></li><li><p>two</p></li></ul>",
    "2. two\n3. three": '<ol start="2"><li><p>two</p></li><li><p>three</p></li></ol>',
    "a_name_here and 2 * 3 * 4": "<p>a_name_here and 2 * 3 * 4</p>",
    "# Head\n\ntext": '<p class="md-heading">Head</p><p>text</p>',
    "```py\na < b\n```": '<pre tabindex="0"><code>a &lt; b</code></pre>',
    "**not closed": "<p>**not closed</p>",
    "see [there](https://example.org/a)": '<p>see <a href="https://example.org/a" target="_blank" '
    'rel="noopener noreferrer nofollow">there</a> (example.org)</p>',
}


def test_markdown_is_drawn(still: Any) -> None:
    drawn = still.evaluate(
        """async (texts) => { const { render } = await import('/static/markdown.js');
        return texts.map((text) => { const place = document.createElement('div'); place.append(render(text));
          return place.innerHTML; }); }""",
        list(MARKDOWN),
    )
    assert dict(zip(MARKDOWN, drawn, strict=True)) == MARKDOWN


ENDLESS = ("*", "**a", "`a", "[", "[a](", "_a ", "> ", "- ", "|", "~~", "\\", "![", "*a **b ", "a|b\n-|-\n", "# ")


def test_long_and_hostile_markdown_is_drawn(still: Any) -> None:
    """What took time by the square of its length would not end within this test's patience."""
    drawn = still.evaluate(
        """async (texts) => { const { render } = await import('/static/markdown.js');
        return texts.map((text) => render(text.repeat(200000 / text.length)).textContent.length > 0); }""",
        list(ENDLESS),
    )
    assert len(drawn) == len(ENDLESS)


# --- languages, keyboard, narrow screens ---


def test_the_page_speaks_the_language_of_its_browser_until_another_is_chosen(look: Any) -> None:
    page = look(locale="zh-CN").page
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert page.locator("#hold-text").inner_text() == "按住说话"
    page.wait_for_function("() => /你/.test(document.querySelector('#presets').textContent)")
    page.click("#language")
    assert page.locator("#hold-text").inner_text() == "Hold to talk"
    page.wait_for_function("() => /you/.test(document.querySelector('#presets').textContent)")
    page.reload()
    page.wait_for_selector(OPEN)
    assert page.locator("#hold-text").inner_text() == "Hold to talk"


def test_everything_is_done_with_the_keyboard(look: Any) -> None:
    page = look().page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the link that skips to the question
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type("what do you see")
    page.keyboard.press("Enter")
    page.wait_for_selector("article.turn:not(.open)")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "hold":
            break
    assert page.evaluate("document.activeElement.id") == "hold"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.down("Space")
    page.wait_for_selector("#hold[data-state=listening]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#hold[data-state=idle]")
    page.keyboard.up("Space")
    page.keyboard.press("Enter")  # for who cannot hold a key
    page.wait_for_selector("#hold[data-state=latched]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#hold[data-state=idle]")
    page.click("#talk-title")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "question"


UNNAMED = """() => [...document.querySelectorAll('button, input, select, meter, progress, [role=img], dialog, a')]
  .filter((one) => one.checkVisibility())
  .filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim()
    || [...(one.labels ?? [])].some((label) => label.textContent.trim())))
  .map((one) => one.outerHTML)"""
UNREACHED = """() => [...document.querySelectorAll('button, input, select')]
  .filter((one) => one.checkVisibility() && one.tabIndex < 0).map((one) => one.id)"""


def test_everything_has_a_name_in_both_languages(look: Any) -> None:
    looked = look()
    page = looked.page
    looked.ask("what do you see")
    page.wait_for_selector("#health .group")
    for _ in range(2):
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(UNREACHED) == []
        assert page.evaluate("[...document.images].filter((one) => !one.hasAttribute('alt')).length") == 0
        page.click("#language")


def test_a_phone_shows_all_of_it_without_scrolling_sideways(look: Any) -> None:
    looked = look(viewport={"width": 390, "height": 844}, has_touch=True)
    page = looked.page
    looked.ask("what do you see")
    page.wait_for_function("() => document.querySelector('#live .stream')?.dataset.frames > 0")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        for tab in ("machine", "talk"):
            page.click(f"[data-tab={tab}]")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.evaluate(WIDE) == []
        for button in ("#hold", "#stop", "#send", "#mute-microphone", "#mute-camera", "#mute-speaker"):
            box = page.locator(button).bounding_box()
            assert min(box["width"], box["height"]) >= 40, button


WIDE = """() => [...document.querySelectorAll('body *')]
  .filter((one) => one.checkVisibility() && !one.closest('.aside, .skip, #presets, svg'))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.id || one.className)"""


def test_how_it_answers_is_set_for_everyone(look: Any) -> None:
    first, second = look().page, look().page
    first.select_option("#manner-persona", "inspector")
    second.wait_for_function("() => document.querySelector('#manner-persona').value === 'inspector'")
    first.select_option("#manner-persona", "plain")
    second.wait_for_function("() => document.querySelector('#manner-persona').value === 'plain'")
    first.fill("#manner-volume", "35")
    second.wait_for_function("() => document.querySelector('#manner-volume').value === '35'")


def test_clearing_forgets_after_asking_once_more(look: Any) -> None:
    looked = look()
    looked.ask("what color is the ball")
    looked.page.click("#clear")
    looked.page.click("#clear")
    looked.page.wait_for_selector(".note")
    looked.page.wait_for_selector("article.turn.forgotten")
    assert "?" in looked.ask("and the cube").locator(".answer").inner_text()  # which of its properties was forgotten


def _muted(told: Message) -> bool:
    return isinstance(told, MicrophoneState | CameraState) and told.state == "muted"


def _open(told: Message) -> bool:
    return not _muted(told)
