"""Readings, cameras and the node itself to an MQTT broker.

Three promises: what is not trusted is never published as a value; a camera that is away is
said to be away, with the time of its last frame; and when this process dies, the broker's
last will says so.
"""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from molmo_node.client.view import NodeView
from molmo_node.config.secrets import read_secret
from molmo_node.config.sinks import MqttSettings
from molmo_node.errors import ConfigError
from molmo_node.messages import Answer
from molmo_node.sinks.base import Message
from molmo_node.sinks.home_assistant import Announcement, Announcer
from molmo_node.sinks.mqtt_link import Broker, Link
from molmo_node.sinks.mqtt_topics import Topics, node_word
from molmo_node.sinks.records import Record, is_chosen, is_selected, iso, record_of

log = logging.getLogger(__name__)

TEXT_CHARS = 255
UNIT_WITHIN_S = 20.0
LAST_FRAME_EVERY_NS = 10_000_000_000
_Words = tuple[str, str]


class MqttSink:
    """Publishes with QoS 1, retained; everything again to a broker that is new to it."""

    def __init__(self, settings: MqttSettings, view: NodeView) -> None:
        self._settings = settings
        self._view = view
        self._started_s = time.monotonic()
        node = node_word(settings.node)
        self.topics = Topics(settings.topic_prefix, node)
        self._announcer = Announcer(settings.discovery_prefix, node, self.topics)
        self._link = Link(broker_of(settings, node), (self.topics.availability, "offline"))
        self._published: dict[str, str] = {}
        self._units: dict[str, str] = {}
        self._last_frames_ns: dict[str, int] = {}

    def wants(self, message: Message) -> bool:
        """Answers of the chosen watches."""
        return is_selected(message, self._settings.watches)

    def write(self, messages: Sequence[Message]) -> None:
        """Publish each answer that is trusted, and of each what became of it."""
        self._connect()
        answers = [message for message in messages if isinstance(message, Answer)]
        self._publish(pair for answer in answers for pair in self._answer(answer))

    def tend(self, view: NodeView) -> None:
        """Connect, and publish what has changed: announcements, cameras, watches, worker."""
        self._connect()
        self._publish((*self._announcements(view), *self._state(view)))

    def close(self) -> None:
        """Say ``offline``, and leave."""
        self._link.close((self.topics.availability, "offline"))

    def _connect(self) -> None:
        if not self._link.ensure():
            return
        # Its retained messages may be gone: it may have started anew.
        self._published.clear()
        self._last_frames_ns.clear()
        self._link.publish([(self.topics.availability, "online")])

    def _publish(self, words: Iterable[_Words]) -> None:
        """Publish what the broker does not have yet; a reading always, each is an event."""
        known, news = dict(self._published), []
        for topic, text in words:
            if known.get(topic) != text or self.topics.is_reading(topic):
                known[topic] = text
                news.append((topic, text))
        if news:
            self._link.publish(news)
            self._published = known

    def _answer(self, answer: Answer) -> Iterator[_Words]:
        record = self._record(answer)
        if record.unit and self._units.get(record.watch) != record.unit:
            self._units[record.watch] = record.unit
            yield from self._watch_announcements(self._view)
        if record.value is not None:
            yield self.topics.reading(record.watch), reading_json(record, answer)
        yield self.topics.status(record.watch), status_json(record)
        is_read = record.value is not None
        yield self.topics.watch_availability(record.watch), "online" if is_read else "offline"

    def _record(self, answer: Answer) -> Record:
        return record_of(answer, is_doubtful_trusted=self._settings.doubtful)

    def _state(self, view: NodeView) -> Iterator[_Words]:
        worker = view.worker()
        is_lost = worker is None or worker.is_lost
        # It is busy for an instant with every reading; that is no news for a plant.
        state = "lost" if worker is None or is_lost else worker.status.state
        yield self.topics.worker, "ready" if state == "busy" else state
        for camera in view.cameras():
            yield self.topics.camera_connected(camera.name), "ON" if camera.is_alive else "OFF"
            yield from self._last_frame(camera.name, camera.last_frame_ns, camera.is_alive)
        yield from self._watches(view, "the worker is lost" if is_lost else "no answer comes")

    def _watches(self, view: NodeView, silence: str) -> Iterator[_Words]:
        """How each watch stands now, and for a new broker its last reading."""
        current = {seen.answer.watch for seen in view.current_answers()}
        away = {camera.name: camera.reason for camera in view.cameras() if not camera.is_alive}
        for answer in [seen.answer for seen in view.answers() if self.wants(seen.answer)]:
            name, camera = answer.watch, answer.frame.camera
            if name not in current or camera in away:
                reason = f"camera {camera}: {away[camera]}" if camera in away else silence
                yield self.topics.watch_availability(name), "offline"
                yield self.topics.status(name), status_json(self._record(answer), reason)
                continue
            for topic, text in self._answer(answer):
                if not (self.topics.is_reading(topic) and topic in self._published):
                    yield topic, text

    def _last_frame(self, camera: str, stamp_ns: int | None, is_alive: bool) -> Iterator[_Words]:
        """A time that moves with every frame is told each ten seconds, and when frames end."""
        if stamp_ns is None:
            return
        before_ns = self._last_frames_ns.get(camera)
        if before_ns is None or not is_alive or stamp_ns - before_ns >= LAST_FRAME_EVERY_NS:
            self._last_frames_ns[camera] = stamp_ns
            yield self.topics.camera_last_frame(camera), iso(stamp_ns)

    def _announcements(self, view: NodeView) -> Iterator[_Words]:
        if not self._settings.discovery:
            return
        yield _words(self._announcer.worker())
        for camera in view.cameras():
            yield _words(self._announcer.camera_connected(camera.name))
            yield _words(self._announcer.camera_last_frame(camera.name))
        yield from self._watch_announcements(view)

    def _watch_announcements(self, view: NodeView) -> Iterator[_Words]:
        worker = view.worker()
        if not self._settings.discovery or worker is None:
            return
        for spec in worker.status.watches:
            unit = self._units.get(spec.name, "")
            is_known = bool(unit) or spec.question.task != "read_gauge"
            if is_chosen(spec.name, self._settings.watches) and (is_known or self._is_late()):
                yield _words(self._announcer.watch(spec, unit))

    def _is_late(self) -> bool:
        """Whether a dial that never told its unit is announced without one."""
        return time.monotonic() - self._started_s > UNIT_WITHIN_S


def broker_of(settings: MqttSettings, node: str) -> Broker:
    """The broker that the settings describe.

    Raises:
        ConfigError: the password's file or the certificate cannot be used.
    """
    password = settings.password.get_secret_value() if settings.password else None
    if settings.password_file is not None:
        password = read_secret(settings.password_file)
    if (
        password is not None
        and not settings.tls
        and settings.host not in ("localhost", "127.0.0.1")
    ):
        log.warning("the password goes over the network unencrypted; set tls: true")
    return Broker(
        host=settings.host,
        port=settings.port or (8883 if settings.tls else 1883),
        client_id=f"molmo_node-{node}",
        username=settings.username,
        password=password,
        tls=_tls(settings.tls_ca) if settings.tls else None,
        keepalive_s=settings.keepalive_s,
    )


def reading_json(record: Record, answer: Answer) -> str:
    """A trusted answer: the value first, then where it comes from."""
    value = record.value[:TEXT_CHARS] if isinstance(record.value, str) else record.value
    told: dict[str, object] = {"value": value, "unit": record.unit or None}
    told |= {"sigma": record.sigma, "confidence": record.confidence}
    if answer.points:
        places = [[round(point.x_px, 1), round(point.y_px, 1)] for point in answer.points]
        told |= {"points_px": places, "width": answer.width, "height": answer.height}
    told |= {"time": record.time, "camera": record.camera, "seq": record.seq}
    return json.dumps({name: part for name, part in told.items() if part is not None})


def status_json(record: Record, reason: str = "") -> str:
    """What became of an answer; the reason is empty where it is trusted.

    Args:
        reason: why even a trusted answer holds no longer.
    """
    status = "silent" if reason else record.status
    return json.dumps(
        {"status": status, "reason": reason or record.reason or None, "time": record.time}
    )


def _words(announcement: Announcement) -> _Words:
    return announcement.topic, json.dumps(announcement.payload)


def _tls(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as exc:
        raise ConfigError(f"tls_ca {authority}: cannot be used ({exc})") from exc
