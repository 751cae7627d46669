"""Groups of the consumer protocol (KIP-848) with confluent-kafka: three consumers share four partitions, one dies and the
others take over, offsets survive; static members, patterns, topics that grow. Called with the server's address."""

import collections
import subprocess
import sys
import time

from confluent_kafka import Consumer, ConsumerGroupState, ConsumerGroupType, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

SERVER = sys.argv[1]
PATIENCE = 60


def consumer(group, **options):
    settings = {
        "bootstrap.servers": SERVER,
        "group.id": group,
        "group.protocol": "consumer",
        "auto.offset.reset": "earliest",
        "topic.metadata.refresh.interval.ms": 1000,
    }
    return Consumer({**settings, **{name.replace("_", "."): value for name, value in options.items()}})


def done(futures):
    return {name: future.result(PATIENCE) for name, future in futures.items()}


def feed(topic, partitions, numbers):
    writer = Producer({"bootstrap.servers": SERVER})
    for partition in partitions:
        for number in numbers:
            writer.produce(topic, f"{partition}-{number}", partition=partition)
    assert writer.flush(PATIENCE) == 0


def expected(partitions, numbers):
    return {f"{partition}-{number}" for partition in partitions for number in numbers}


def until(what, condition, members, got):
    """Let the members read until it is so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for member in members:
            message = member.poll(0.05)
            if message is None:
                continue
            if message.error() is not None:
                raise KafkaException(message.error())
            got[message.value().decode()] += 1
        if condition():
            return
    raise AssertionError(f"{what}: {[member.assignment() for member in members]}, {sorted(got)}")


def one_who_dies():
    """Joins, says so, and works until it is killed."""
    member = consumer("workers", enable_auto_commit=False)
    member.subscribe(["work"])
    while True:
        member.poll(0.1)
        print(len(member.assignment()), flush=True)


def take_over():
    admin = AdminClient({"bootstrap.servers": SERVER})
    done(admin.create_topics([NewTopic("work", 4)]))
    got = collections.Counter()
    dying = subprocess.Popen([sys.executable, __file__, SERVER, "dies"], stdout=subprocess.PIPE, text=True)
    members = [consumer("workers") for _ in range(2)]
    for member in members:
        member.subscribe(["work"])
    counts = lambda: sorted(len(member.assignment()) for member in members)
    # Whoever came first, each of the three has one or two of the four.
    until("three share", lambda: counts() in ([1, 1], [1, 2]) and is_stable(admin, "workers", 3), members, got)
    described = done(admin.describe_consumer_groups(["workers"]))["workers"]
    shares = sorted(len(member.assignment.topic_partitions) for member in described.members)
    assert shares == [1, 1, 2], shares

    dying.kill()
    dying.wait()
    feed("work", range(4), range(100))
    until("two take over", lambda: counts() == [2, 2], members, got)
    # What the third read without committing is read again by those who took over.
    until("all is read", lambda: set(got) == expected(range(4), range(100)), members, got)
    assert set(got.values()) == {1}, "nothing is read twice by who did not have to take over"
    # To close is to commit.
    for member in members:
        member.close()
    described = done(admin.describe_consumer_groups(["workers"]))["workers"]
    assert described.state == ConsumerGroupState.EMPTY, described.state

    feed("work", range(4), range(100, 120))
    got = collections.Counter()
    again = consumer("workers")
    again.subscribe(["work"])
    until("it goes on", lambda: len(got) >= 80, [again], got)
    assert set(got) == expected(range(4), range(100, 120)), "where the group stopped"
    again.close()


def is_stable(admin, group, members):
    described = done(admin.describe_consumer_groups([group]))[group]
    return described.state == ConsumerGroupState.STABLE and len(described.members) == members


def grow():
    """A topic that is made later and one that grows are noticed, by name and by pattern."""
    admin = AdminClient({"bootstrap.servers": SERVER})
    done(admin.create_topics([NewTopic("grow-1", 1)]))
    got = collections.Counter()
    member = consumer("growers")
    member.subscribe(["^grow-.*"])
    until("one", lambda: len(member.assignment()) == 1, [member], got)
    done(admin.create_topics([NewTopic("grow-2", 2)]))
    until("another topic", lambda: len(member.assignment()) == 3, [member], got)
    done(admin.create_partitions([NewPartitions("grow-1", 3)]))
    until("more partitions", lambda: len(member.assignment()) == 5, [member], got)
    member.close()


def static():
    """Who comes back under its name finds its part, and two cannot have one name."""
    admin = AdminClient({"bootstrap.servers": SERVER})
    done(admin.create_topics([NewTopic("fixed", 4)]))
    got = collections.Counter()
    members = [consumer("fixed", group_instance_id=f"instance-{number}") for number in range(2)]
    for member in members:
        member.subscribe(["fixed"])
    until("two share", lambda: [len(member.assignment()) for member in members] == [2, 2], members, got)
    had = {place.partition for place in members[1].assignment()}
    members.pop().close()
    members.append(consumer("fixed", group_instance_id="instance-1"))
    members[1].subscribe(["fixed"])
    until("it is back", lambda: {place.partition for place in members[1].assignment()} == had, members, got)
    twin = consumer("fixed", group_instance_id="instance-1")
    twin.subscribe(["fixed"])
    deadline = time.monotonic() + PATIENCE
    error = None
    while error is None and time.monotonic() < deadline:
        try:
            message = twin.poll(0.1)
            error = message.error() if message is not None else None
        except KafkaException as refused:
            error = refused.args[0]
    assert error is not None and error.code() == KafkaError._FATAL, error
    assert "instance ID is still used" in str(error), error
    for member in members:
        member.close()


def one_by_one():
    """A group moves to the consumer protocol and back, one member at a time, and misses nothing."""
    admin = AdminClient({"bootstrap.servers": SERVER})
    done(admin.create_topics([NewTopic("moving", 4)]))
    for strategy in ["range", "cooperative-sticky"]:
        group = f"moving-{strategy}"
        got = collections.Counter()
        numbers = iter(range(1000))

        def joined(**options):
            member = consumer(group, **options)
            member.subscribe(["moving"])
            return member

        def share(members):
            """All partitions are shared, and what is written meanwhile is read."""
            counts = sorted([4 // len(members)] * len(members))
            until(
                f"{group}: {len(members)} share",
                lambda: sorted(len(member.assignment()) for member in members) == counts,
                members,
                got,
            )
            number = next(numbers)
            feed("moving", range(4), [number])
            wanted = expected(range(4), range(number + 1))
            until(f"{group}: round {number} is read", lambda: wanted <= set(got), members, got)

        classic = {"group_protocol": "classic", "partition_assignment_strategy": strategy}
        members = [joined(**classic), joined(**classic)]
        share(members)
        for options in [{}, {}, classic, classic]:
            members.append(joined(**options))
            members.pop(0).close()
            share(members)
        listed = admin.list_consumer_groups(types={ConsumerGroupType.CLASSIC}).result(PATIENCE)
        assert group in [found.group_id for found in listed.valid], listed.valid
        for member in members:
            member.close()
        done(admin.delete_consumer_groups([group]))


def both_protocols():
    """An empty group takes members of either protocol, and keeps its offsets."""
    admin = AdminClient({"bootstrap.servers": SERVER})
    done(admin.create_topics([NewTopic("both", 2)]))
    got = collections.Counter()
    feed("both", range(2), range(5))
    old = consumer("both", group_protocol="classic")
    old.subscribe(["both"])
    until("the classic one reads", lambda: len(got) == 10, [old], got)
    old.close()
    feed("both", range(2), range(5, 10))
    got = collections.Counter()
    new = consumer("both")
    new.subscribe(["both"])
    until("and the new one goes on", lambda: len(got) == 10, [new], got)
    assert set(got) == expected(range(2), range(5, 10))
    listed = admin.list_consumer_groups(types={ConsumerGroupType.CONSUMER}).result(PATIENCE)
    assert "both" in [found.group_id for found in listed.valid], listed.valid
    listed = admin.list_consumer_groups(types={ConsumerGroupType.CLASSIC}).result(PATIENCE)
    assert "both" not in [found.group_id for found in listed.valid], listed.valid
    new.close()
    done(admin.delete_consumer_groups(["both"]))


if sys.argv[2:] == ["dies"]:
    one_who_dies()
for step in [take_over, grow, static, one_by_one, both_protocols]:
    begun = time.monotonic()
    step()
    print(step.__name__, f"ok after {time.monotonic() - begun:.1f} s", flush=True)
