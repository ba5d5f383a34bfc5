"""The TOPICS table: each entry is consistent, and each type survives the wire."""

import itertools

import pytest
from hypothesis import given, settings

from assistant import messages
from assistant.messages import BY_NAME, SERVICES, TOPICS, VERSION, Message, Topic
from assistant.wire import Wire, topic
from tests import strategies

ENTRIES = list(TOPICS.items())


def test_every_message_type_stands_in_the_table() -> None:
    kinds = {kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert kinds - {Message} == set(TOPICS)
    assert {kind.__name__: kind for kind in TOPICS} == BY_NAME


@pytest.mark.parametrize(("kind", "entry"), ENTRIES, ids=lambda value: getattr(value, "__name__", ""))
class TestEntry:
    def test_it_goes_from_or_to_known_services(self, kind: type[Message], entry: Topic) -> None:
        assert {*entry.publishers, *entry.inboxes} <= set(SERVICES)
        assert entry.publishers or entry.inboxes
        assert len(set(entry.publishers)) == len(entry.publishers)
        assert len(set(entry.inboxes)) == len(entry.inboxes)

    def test_its_key_is_a_field_that_something_uses(self, kind: type[Message], entry: Topic) -> None:
        assert entry.key == "" or entry.key in kind.__struct_fields__
        assert entry.key == "" or entry.resend or entry.newest

    def test_what_is_skipped_or_re_sent_is_told_apart_where_there_are_several(
        self, kind: type[Message], entry: Topic
    ) -> None:
        """The newest picture of one camera must not push out that of another."""
        if (entry.newest or entry.resend) and "camera" in kind.__struct_fields__:
            assert entry.key == "camera"

    def test_only_what_is_published_is_re_sent_skipped_or_periodic(self, kind: type[Message], entry: Topic) -> None:
        assert entry.publishers or not (entry.newest or entry.resend or entry.period_s)
        assert entry.period_s >= 0.0


def test_no_topic_is_a_prefix_of_another() -> None:
    pairs = list(itertools.permutations(TOPICS, 2))
    assert any(a.__name__.startswith(b.__name__) for a, b in pairs), "no name is: this test shows nothing"
    assert not [(a, b) for a, b in pairs if topic(a).startswith(topic(b))]


@pytest.mark.parametrize("kind", TOPICS, ids=lambda kind: kind.__name__)
def test_any_value_comes_back_as_it_was(kind: type[Message]) -> None:
    sender, receiver = Wire("here", lambda: 7), Wire("there", lambda: 8)

    @settings(max_examples=30)
    @given(strategies.of(kind))
    def check(message: Message) -> None:
        received = receiver.unpack([memoryview(part) for part in sender.pack(message, b"payload")])
        assert received is not None
        assert received.message == message
        assert type(received.message) is kind
        assert (received.stamp.version, received.stamp.sender, received.stamp.sent_at) == (VERSION, "here", 7)
        assert bytes(received.payload) == b"payload"

    check()
    assert not receiver.refused
    assert receiver.gaps == 0
