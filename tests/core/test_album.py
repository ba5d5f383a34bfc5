"""Which pictures of a program's conversation are shown."""

from assistant.core.album import chosen, places, too_many
from assistant.messages import Said, Shown

NOW = Shown()
BALL, CONE = Shown("upload-ball"), Shown("upload-cone")


def asked(*content: str | Shown) -> Said:
    return Said("user", content)


def told(text: str) -> Said:
    return Said("assistant", (text,))


def test_a_sent_picture_is_known_by_its_name_and_a_cameras_by_where_it_stands() -> None:
    first, *_ = places([asked(BALL, "what is this")])
    again = places([asked("hello"), told("hi"), asked("what is this", BALL)])
    assert [place.key for place in again] == [first.key] == ["upload-ball"]
    one = places([asked(NOW, "what is this")])[0]
    followed = places([asked(NOW, "what is this"), told("a ball"), asked("and now", NOW)])
    assert [place.key == one.key for place in followed] == [True, False]
    assert [place.fresh for place in followed] == [False, True]
    assert places([asked(NOW, "what is that")])[0].key != one.key
    assert len({place.key for place in places([asked(NOW, NOW)])}) == 2


def test_what_a_camera_showed_before_is_shown_only_if_it_is_still_there() -> None:
    found = places([asked(NOW, "what is this"), told("a ball"), asked("which colour")])
    assert chosen(found, [], 2) == []
    assert chosen(found, [found[0].key], 2) == found
    found = places([asked(BALL, "what is this"), told("a ball"), asked("which colour")])
    assert chosen(found, [], 2) == found


def test_the_newest_are_shown() -> None:
    found = places([asked(BALL, "what is this"), told("a ball"), asked(CONE, "and this"), told("a cone"), asked(NOW)])
    assert [place.camera for place in chosen(found, [], 2)] == ["upload-cone", ""]
    assert [place.camera for place in chosen(found, [], 0)] == []
    assert len(chosen(found, [], 9)) == 3


def test_only_what_is_asked_now_can_be_too_much() -> None:
    assert too_many(places([asked(BALL, CONE)]), 1)
    assert not too_many(places([asked(BALL), told("a ball"), asked(CONE)]), 1)
    assert not too_many([], 0)
    assert too_many(places([asked(BALL)]), 0)


def test_what_follows_a_call_is_still_about_the_same_picture() -> None:
    """The user has not spoken again: what the camera showed is not replaced."""
    found = places([asked(NOW, "is it warm"), Said("assistant", ()), Said("tool", ("21",), call_id="1")])
    assert [place.fresh for place in found] == [True]
