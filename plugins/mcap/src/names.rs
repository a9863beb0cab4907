//! What channels and streams are called: topics by profile, and stream names from topics.

use crate::options::Profile;

/// The name of a profile in a file's header.
pub(crate) fn header_profile(profile: Profile) -> &'static str {
    match profile {
        Profile::None | Profile::Dimos => "",
        Profile::Ros2 => "ros2",
    }
}

/// The topic of a stream that is not of messages.
pub(crate) fn topic_of_stream(profile: Profile, stream: &str) -> String {
    match profile {
        Profile::None | Profile::Dimos => stream.to_owned(),
        Profile::Ros2 => format!("/{}", stream.trim_start_matches('/').replace('.', "/")),
    }
}

/// The topic of a message. `type_name` is that of the message's type, where it is known.
pub(crate) fn topic_of_message(profile: Profile, topic: &str, type_name: Option<&str>) -> String {
    match profile {
        Profile::None => topic.to_owned(),
        Profile::Ros2 => format!("/{}", topic.trim_start_matches('/')),
        Profile::Dimos if topic.starts_with("dimos/") => topic.to_owned(),
        Profile::Dimos => {
            // LCM channels of dimos are `/odom#nav_msgs.Odometry`.
            let (name, of_topic) =
                topic.split_once('#').map_or((topic, None), |(name, kind)| (name, Some(kind)));
            let name = name.trim_matches('/').replace('/', "_");
            match of_topic.or(type_name).filter(|kind| !kind.is_empty()) {
                Some(kind) => format!("dimos/{name}/{}", kind.replace('/', ".")),
                None => format!("dimos/{name}"),
            }
        }
    }
}

/// The name of a topic's stream. Streams become parts of file names: `/imu/data` is `imu.data`.
pub(crate) fn stream_of_topic(topic: &str) -> String {
    let allowed = |letter: char| match letter {
        '/' => '.',
        letter if letter.is_alphanumeric() || "_-.#@".contains(letter) => letter,
        _ => '_',
    };
    let name: String = topic.chars().map(allowed).collect();
    let name = name.trim_matches('.');
    if name.is_empty() { "topic".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_as_each_profile_has_them() {
        for (profile, topic, kind, expected) in [
            (Profile::None, "/odom", None, "/odom"),
            (Profile::Ros2, "odom", None, "/odom"),
            (Profile::Dimos, "/odom#nav_msgs.Odometry", None, "dimos/odom/nav_msgs.Odometry"),
            (Profile::Dimos, "imu", Some("sensor_msgs/Imu"), "dimos/imu/sensor_msgs.Imu"),
            (Profile::Dimos, "dimos/imu/sensor_msgs.Imu", None, "dimos/imu/sensor_msgs.Imu"),
        ] {
            assert_eq!(topic_of_message(profile, topic, kind), expected);
        }
        assert_eq!(topic_of_stream(Profile::Ros2, "desk.video"), "/desk/video");
    }

    #[test]
    fn stream_names_are_parts_of_file_names() {
        for (topic, expected) in [
            ("/imu/data", "imu.data"),
            ("", "topic"),
            ("/../../etc", "etc"),
            ("a b\0", "a_b_"),
            ("größe", "größe"),
        ] {
            assert_eq!(stream_of_topic(topic), expected);
        }
    }
}
