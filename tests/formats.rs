//! Each sink's file read back by somebody else's reader: all types, nulls, transforms.

use crate::util::{Dir, python};

const SINKS: [(&str, &str); 6] = [
    ("hdf5", "out/s/hdf5.h5"),
    ("parquet", "out/s/parquet.parquet"),
    ("arrow", "out/s/arrow.arrows"),
    ("csv", "out/s/csv.csv"),
    ("jsonl", "out/s/jsonl.jsonl"),
    ("mcap", "out/s/mcap.mcap"),
];

fn pipeline(source: &str, between: &str, input: &str) -> String {
    let mut text = format!("[session]\ndisk_free_min = \"0B\"\n{source}\n{between}\n");
    for (plugin, _) in SINKS {
        text.push_str(&format!("[sinks.{plugin}]\nplugin = \"{plugin}\"\ninputs = [\"{input}\"]\n"));
    }
    text
}

/// What Python finds must be the same in every format.
fn assert_same(dir: &Dir, rows: u64) {
    let expected = python("summary.py", &[&dir.path(SINKS[2].1)]);
    assert_eq!(expected["rows"], rows);
    for (plugin, file) in SINKS {
        let found = python("summary.py", &[&dir.path(file)]);
        assert_eq!(found["rows"], rows, "{plugin}");
        for (name, column) in expected["columns"].as_object().unwrap() {
            for key in ["first", "last", "sum", "nulls"] {
                let (found, expected) = (&found["columns"][name][key], &column[key]);
                let close = match (found.as_f64(), expected.as_f64()) {
                    // A sum in another order of other types rounds differently.
                    (Some(found), Some(expected)) => {
                        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
                    }
                    _ => found == expected,
                };
                assert!(close, "{plugin}: {key} of {name} is {found}, not {expected}");
            }
        }
    }
}

#[test]
fn every_format_holds_the_same_values_of_every_numeric_type() {
    let mut fields = String::from("[sources.made]\nplugin = \"synthetic\"\ncount = 3000\nbatch_rows = 64\n");
    for kind in ["bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64"] {
        fields.push_str(&format!("[sources.made.fields.of_{kind}]\ntype = \"{kind}\"\npattern = \"ramp\"\n"));
    }
    let dir = Dir::new();
    dir.record(&pipeline(&fields, "", "made"), "30s", 0);
    assert_same(&dir, 3000);
}

#[test]
fn nulls_of_a_delta_are_nulls_in_every_format_and_undelta_restores_the_frames() {
    let source = "[sources.made]\nplugin = \"synthetic\"\ncount = 500\nbatch_rows = 10\n[sources.made.fields.a]\ntype = \"i32\"\npattern = \"steps\"\n[sources.made.fields.b]\ntype = \"f64\"\npattern = \"ramp\"\n";
    let delta = "[transforms.d]\nplugin = \"delta\"\ninputs = [\"made\"]\n";
    let dir = Dir::new();
    dir.record(&pipeline(source, delta, "d"), "30s", 0);
    assert_same(&dir, 500);
    let summary = python("summary.py", &[&dir.path(SINKS[0].1)]);
    assert!(summary["columns"]["a"]["nulls"].as_u64().unwrap() > 100, "{summary}");

    let both = format!("{delta}[transforms.u]\nplugin = \"undelta\"\ninputs = [\"d\"]\n");
    let restored = Dir::new();
    restored.record(&pipeline(source, &both, "u"), "30s", 0);
    let plain = Dir::new();
    plain.record(&pipeline(source, "", "made"), "30s", 0);
    let [restored, plain] = [&restored, &plain].map(|dir| python("summary.py", &[&dir.path(SINKS[2].1)]));
    for name in ["a", "b", "seq"] {
        assert_eq!(restored["columns"][name], plain["columns"][name]);
    }
}
