use super::*;

fn message(length: usize) -> Vec<u8> {
    let mut message = (length as u32).to_be_bytes().to_vec();
    message.extend([0, 0, 0, 1, 1, 0]);
    message.extend((0..length).map(|i| i as u8));
    message
}

fn frame(connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = connection.to_be_bytes().to_vec();
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame
}

/// Feeds bytes to a mux whose peer then hangs up; returns why it ended and what the Plugin endpoint got.
async fn feed(bytes: &[u8]) -> (MuxError, Vec<u8>) {
    let (near, mut far) = tokio::io::duplex(64);
    let (mux, mut plugin, _runtime) = Mux::new(near);
    let writer = async {
        // The mux may end before it took everything.
        let _ = far.write_all(bytes).await;
        drop(far);
    };
    let reader = async {
        let mut received = Vec::new();
        plugin.read_to_end(&mut received).await.unwrap();
        received
    };
    let (ended, (), received) = tokio::join!(mux.drive(), writer, reader);
    (ended, received)
}

#[tokio::test]
async fn messages_are_framed_as_upstream_can_read_them() {
    for (length, expected) in [
        (0, vec![10]),
        (100, vec![110]),
        (4086, vec![4096]),
        (4087, vec![4096, 1]),
        (300_000, vec![4096, 295_914]),
        (MESSAGE_LIMIT, vec![4096, MESSAGE_LIMIT - 4086]),
    ] {
        let (near, mut far) = tokio::io::duplex(1000);
        let (mux, mut plugin, _runtime) = Mux::new(near);
        let sent = message(length);
        let send = async { plugin.write_all(&sent).await.unwrap() };
        let receive = async {
            let (mut received, mut lengths) = (Vec::new(), Vec::new());
            while received.len() < sent.len() {
                assert_eq!(far.read_u32().await.unwrap(), PLUGIN_CONNECTION);
                let mut payload = vec![0; far.read_u32().await.unwrap() as usize];
                far.read_exact(&mut payload).await.unwrap();
                lengths.push(payload.len());
                received.extend(payload);
            }
            (received, lengths)
        };
        let (received, lengths) = tokio::select! {
            _ = mux.drive() => panic!("the mux ended"),
            ((), received) = async { tokio::join!(send, receive) } => received,
        };
        assert_eq!(received, sent);
        assert_eq!(lengths, expected);
    }
}

#[tokio::test]
async fn payloads_reach_their_endpoint_and_unknown_ids_are_dropped() {
    let mut bytes = frame(PLUGIN_CONNECTION, b"one ");
    bytes.extend(frame(7, &[9; 5000]));
    bytes.extend(frame(PLUGIN_CONNECTION, b""));
    bytes.extend(frame(PLUGIN_CONNECTION, b"two"));
    let (ended, received) = feed(&bytes).await;
    assert!(matches!(ended, MuxError::Closed), "{ended}");
    assert_eq!(received, b"one two");
}

#[tokio::test]
async fn bad_frames_end_the_connection() {
    let (ended, _) = feed(&frame(0, b"x")).await;
    assert!(matches!(ended, MuxError::ReservedConnection), "{ended}");
    for connection in [PLUGIN_CONNECTION, 99] {
        let mut bytes = connection.to_be_bytes().to_vec();
        bytes.extend((FRAME_LIMIT as u32 + 1).to_be_bytes());
        let (ended, _) = feed(&bytes).await;
        assert!(matches!(ended, MuxError::FrameTooLong { .. }), "{ended}");
    }
    let whole = frame(PLUGIN_CONNECTION, b"payload");
    for length in 1..whole.len() {
        let (ended, _) = feed(&whole[..length]).await;
        assert!(matches!(ended, MuxError::Truncated), "{length}: {ended}");
    }
}

#[tokio::test]
async fn a_dropped_endpoint_ends_the_mux() {
    let (near, _far) = tokio::io::duplex(64);
    let (mux, plugin, _runtime) = Mux::new(near);
    drop(plugin);
    let ended = mux.drive().await;
    assert!(
        matches!(ended, MuxError::EndpointClosed { connection: 1 }),
        "{ended}"
    );
}

#[tokio::test]
async fn an_oversize_message_is_not_sent() {
    let (near, _far) = tokio::io::duplex(64);
    let (mux, _plugin, mut runtime) = Mux::new(near);
    let header = [&(MESSAGE_LIMIT as u32 + 1).to_be_bytes()[..], &[0; 6]].concat();
    runtime.write_all(&header).await.unwrap();
    let ended = mux.drive().await;
    assert!(matches!(ended, MuxError::MessageTooLong { .. }), "{ended}");
}
