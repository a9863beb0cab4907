//! What streams, types and columns are called here and there.

/// The columns of a pose.
pub(crate) const POSE: [&str; 7] = ["pose_x", "pose_y", "pose_z", "pose_qx", "pose_qy", "pose_qz", "pose_qw"];

/// The column of a device's own time, and the tag that has it.
pub(crate) const SENSOR_TIME: &str = "sensor_time";
pub(crate) const SENSOR_TIME_TAG: &str = "sensor_time_ns";

/// Endings of the tables that a stream has beside its own.
const BESIDE: [&str; 4] = ["_blob", "_vec", "_rtree", "_streams"];

/// A name as dimos takes them: letters, digits and `_`, no digit first, and none of the tables beside a stream.
pub(crate) fn identifier(text: &str) -> String {
    let allowed = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let mut name: String = text.trim_matches('/').chars().map(allowed).collect();
    if name.is_empty() {
        name.push_str("stream");
    }
    if name.starts_with(|letter: char| letter.is_ascii_digit()) || name.to_lowercase().starts_with("sqlite_")
    {
        name.insert(0, '_');
    }
    if BESIDE.iter().any(|end| name.ends_with(end)) || name.starts_with("_tapedeck") {
        name.push('_');
    }
    name
}

/// What a topic says: a name, and perhaps a type.
pub(crate) fn of_topic(topic: &str) -> (&str, Option<&str>) {
    if let Some((name, kind)) = topic.split_once('#') {
        return (name, Some(kind));
    }
    match topic.strip_prefix("dimos/").and_then(|rest| rest.rsplit_once('/')) {
        Some((name, kind)) if kind.contains('.') => (name, Some(kind)),
        _ => (topic, None),
    }
}

/// The Python class of a type: `sensor_msgs.Imu` (or `sensor_msgs/msg/Imu`) is `dimos.msgs.sensor_msgs.Imu.Imu`. `None` for what is no type.
pub(crate) fn class_of(kind: &str) -> Option<String> {
    let parts: Vec<&str> = kind.split(['.', '/']).filter(|part| !part.is_empty() && *part != "msg").collect();
    let &[package, name] = parts.as_slice() else { return None };
    let word = |part: &str| part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (word(package) && word(name)).then(|| format!("dimos.msgs.{package}.{name}.{name}"))
}

/// The type of a class, the other way.
pub(crate) fn type_of(class: &str) -> Option<String> {
    let parts: Vec<&str> = class.split('.').collect();
    match parts.as_slice() {
        ["dimos", "msgs", package, module, name] if module == name => Some(format!("{package}.{name}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_types_and_classes_go_over_into_each_other() {
        for (topic, name, kind) in [
            ("/odom#nav_msgs.Odometry", "odom", Some("nav_msgs.Odometry")),
            ("dimos/lidar/sensor_msgs.PointCloud2", "lidar", Some("sensor_msgs.PointCloud2")),
            ("/camera/left", "camera_left", None),
            ("7", "_7", None),
            ("", "stream", None),
            ("a_blob", "a_blob_", None),
            ("größe", "gr__e", None),
        ] {
            let found = of_topic(topic);
            assert_eq!((identifier(found.0).as_str(), found.1), (name, kind), "{topic}");
        }
        for kind in ["sensor_msgs.Imu", "sensor_msgs/msg/Imu", "sensor_msgs/Imu"] {
            let class = class_of(kind).unwrap();
            assert_eq!(class, "dimos.msgs.sensor_msgs.Imu.Imu");
            assert_eq!(type_of(&class).unwrap(), "sensor_msgs.Imu");
        }
        assert_eq!((class_of("Imu"), class_of("a.b.c"), class_of("os.system()")), (None, None, None));
        assert_eq!(type_of("builtins.float"), None);
    }
}
