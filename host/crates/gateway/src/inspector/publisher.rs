//! Publishes that carry their publisher: the property is added on the way to the upstream, and removed on the way back.

use hookhost_relay::Side;
use hookhost_relay::frame::Frame;
use hookhost_relay::packet::{InvalidPacket, kind};

use super::super::protocol::{ClientSession, Step};
use super::super::publisher_property;

/// A packet of the client passes.
pub(super) fn client_packet(
    session: &mut ClientSession,
    frame: Frame<'_>,
    adds_publisher: bool,
    step: &mut Step<'_>,
    out: &mut Vec<u8>,
) -> Result<(), InvalidPacket> {
    if adds_publisher {
        return add_publisher(session, frame, step, out);
    }
    session.packet(Side::Client, frame, step);
    frame.write(out);
    Ok(())
}

/// A packet of the client passes: a PUBLISH gets the property that names its publisher, in place of what the client says
/// about that. A PUBLISH whose properties cannot be read does not pass.
fn add_publisher(
    session: &mut ClientSession,
    frame: Frame<'_>,
    step: &mut Step<'_>,
    out: &mut Vec<u8>,
) -> Result<(), InvalidPacket> {
    if frame.kind() != kind::PUBLISH {
        session.packet(Side::Client, frame, step);
        frame.write(out);
        return Ok(());
    }
    if !publisher_property::is_readable(frame) {
        session.broken(Side::Client, step);
        return Err(InvalidPacket(129));
    }
    let removed = publisher_property::remove(frame);
    let clean = Frame {
        body: removed.as_ref().map_or(frame.body, |removed| &removed.body),
        ..frame
    };
    let property = session.publish_with_property(clean, step);
    match property.and_then(|(property, longest)| publisher_property::insert(clean, &property, longest)) {
        Some(packet) => out.extend(packet),
        None => clean.write(out),
    }
    Ok(())
}

/// A packet of the upstream passes: the property that names the publisher is removed from a PUBLISH.
pub(super) fn remove_publisher(session: &mut ClientSession, frame: Frame<'_>, step: &mut Step<'_>, out: &mut Vec<u8>) {
    let is_publish = frame.kind() == kind::PUBLISH;
    let Some(removed) = is_publish.then(|| publisher_property::remove(frame)).flatten() else {
        session.packet(Side::Upstream, frame, step);
        return frame.write(out);
    };
    let clean = Frame {
        body: &removed.body,
        ..frame
    };
    match removed.property {
        Some(property) => session.delivery_with(clean, property, step),
        None => session.packet(Side::Upstream, clean, step),
    }
    clean.write(out);
}
