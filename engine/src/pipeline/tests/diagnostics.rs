//! What is said about pipelines that are wrong: each message as the user sees it.

use super::*;

#[test]
fn text_that_is_no_toml_is_shown_with_its_place() {
    insta::assert_snapshot!(refused("[sources.game]\nplugin = memory\nrate = \nhello\n[sinks\n"), @r#"
    error[E002]: invalid TOML: string values must be quoted
     --> game.toml:2:10
      |
    2 | plugin = memory
      |          ^^^^^^
      |
      = hint: write `"memory"`

    error[E002]: invalid TOML: the value is missing
     --> game.toml:3:8
      |
    3 | rate = 
      |        ^
      |
      = hint: write a value behind the `=`

    error[E002]: invalid TOML: key with no value
     --> game.toml:4:6
      |
    4 | hello
      |      ^ expected `=`
      |
      = hint: TOML is made of `[table]` headers and lines of `key = value`

    error[E002]: invalid TOML: unclosed table
     --> game.toml:5:7
      |
    5 | [sinks
      |       ^ expected `]`
      |
      = hint: close it with `]`

    game.toml: 4 errors
    "#);
}

#[test]
fn an_unclosed_string_is_shown_with_its_place() {
    insta::assert_snapshot!(refused("[sources.game]\nplugin = \"memory\nrate = 60\n"), @r#"
    error[E002]: invalid TOML: invalid basic string
     --> game.toml:2:17
      |
    2 | plugin = "memory
      |                 ^ expected `"`
      |
      = hint: close the text with `"`; a backslash is written `\\`

    game.toml: 1 error
    "#);
}

#[test]
fn every_error_is_shown_at_once_in_the_order_of_the_file() {
    let text = r#"[session]
flush_intervall = "1s"

[sources.game]
plugin = "memroy"
rate = 0

[sources.desk]
plugin = "hdf5"

[sinks.h5]
plugin = "hdf5"
inputs = ["gane", "desk"]

[outputs.x]
"#;
    insta::assert_snapshot!(refused(text), @r#"
    error[E005]: unknown key "flush_intervall" in [session]
     --> game.toml:2:1
      |
    2 | flush_intervall = "1s"
      | ^^^^^^^^^^^^^^^
      |
      = hint: did you mean "flush_interval"?

    error[E010]: there is no source "memroy"
     --> game.toml:5:10
      |
    5 | plugin = "memroy"
      |          ^^^^^^^^
      |
      = hint: did you mean "memory"?

    error[E007]: "rate" must be above 0 and at most 100000 Hz, found 0
     --> game.toml:6:8
      |
    6 | rate = 0
      |        ^
      |
      = hint: write for example `rate = 60` or `rate = "60Hz"`

    error[E011]: "hdf5" is a sink, not a source
     --> game.toml:9:10
      |
    9 | plugin = "hdf5"
      |          ^^^^^^
      |
      = hint: put it into `[sinks.desk]`, or choose one of the sources: "memory", "screen", "replay"

    error[E018]: the input "gane" matches nothing
      --> game.toml:13:11
       |
    13 | inputs = ["gane", "desk"]
       |           ^^^^^^
       |
       = hint: did you mean "game"?

    error[E005]: unknown key "outputs" at the top of the pipeline
      --> game.toml:15:2
       |
    15 | [outputs.x]
       |  ^^^^^^^
       |
       = hint: keys here: "session", "sinks", "sources", "transforms"

    game.toml: 6 errors
    "#);
}

#[test]
fn a_missing_option_says_what_it_is() {
    insta::assert_snapshot!(refused_source(""), @r#"
    error[E006]: the option "process" is missing
     --> game.toml:1:1
      |
    1 | [sources.game]
      | ^^^^^^^^^^^^^^
      |
      = hint: add `process` (a string): The name of the process

    game.toml: 1 error
    "#);
}

#[test]
fn an_unknown_option_is_shown_with_the_nearest_one() {
    insta::assert_snapshot!(refused_source("procces = \"a\"\nzzz = 1"), @r#"
    error[E005]: unknown option "procces"
     --> game.toml:4:1
      |
    4 | procces = "a"
      | ^^^^^^^
      |
      = hint: did you mean "process"?

    error[E005]: unknown option "zzz"
     --> game.toml:5:1
      |
    5 | zzz = 1
      | ^^^
      |
      = hint: options here: "attributes", "plugin", "process", "rate", "reattach", "scan_max", "start", "threads", "timeout"

    game.toml: 2 errors
    "#);
}

#[test]
fn a_nested_option_is_shown_in_its_own_table() {
    let lines = r#"process = "a"
[sources.game.attributes.health]
patern = "48"
type = "flaot"
length = 0
scale = "x"
offsets = [1, "2", -3]
address = true
[sources.game.attributes.mana]
length = 1"#;
    insta::assert_snapshot!(refused_source(lines), @r#"
    error[E005]: unknown option "patern" in "attributes.health"
     --> game.toml:6:1
      |
    6 | patern = "48"
      | ^^^^^^
      |
      = hint: did you mean "pattern"?

    error[E007]: "attributes.health.type" can't be "flaot": it takes "int", "float", "array"
     --> game.toml:7:8
      |
    7 | type = "flaot"
      |        ^^^^^^^
      |
      = hint: did you mean "float"?

    error[E007]: "attributes.health.length" must be at least 1 and at most 4294967295 bytes, found 0
     --> game.toml:8:10
      |
    8 | length = 0
      |          ^
      |
      = hint: choose a number within the limits

    error[E004]: "attributes.health.scale" must be a number, found a string
     --> game.toml:9:9
      |
    9 | scale = "x"
      |         ^^^ expected a number
      |
      = hint: write it without quotation marks

    error[E004]: "attributes.health.offsets[1]" must be an integer, found a string
      --> game.toml:10:15
       |
    10 | offsets = [1, "2", -3]
       |               ^^^ expected an integer
       |
       = hint: write it without quotation marks and without a point

    error[E007]: "attributes.health.offsets[2]" must be at least 0, found -3
      --> game.toml:10:20
       |
    10 | offsets = [1, "2", -3]
       |                    ^^
       |
       = hint: choose a number within the limits

    error[E004]: "attributes.health.address" must be an integer or a string, found a boolean
      --> game.toml:11:11
       |
    11 | address = true
       |           ^^^^ expected an integer or a string
       |
       = hint: write an integer or a string

    error[E006]: the option "type" is missing in "attributes.mana"
      --> game.toml:12:1
       |
    12 | [sources.game.attributes.mana]
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: add `type` (one of "int", "float", "array"): The type

    game.toml: 8 errors
    "#);
}

#[test]
fn durations_sizes_and_numbers_are_checked_with_their_units() {
    let lines = "process = \"a\"\ntimeout = \"5\"\nscan_max = 64\nthreads = 65\nreattach = \"yes\"";
    insta::assert_snapshot!(refused_source(lines), @r#"
    error[E007]: "timeout": "5" is not a duration: expected one of the units ns, us, µs, ms, s, m, min, h
     --> game.toml:5:11
      |
    5 | timeout = "5"
      |           ^^^
      |
      = hint: write for example `"250ms"`

    error[E004]: "scan_max" must be a size, found an integer
     --> game.toml:6:12
      |
    6 | scan_max = 64
      |            ^^ expected a size
      |
      = hint: write for example `"64MiB"`

    error[E007]: "threads" must be at least 1 and at most 64 threads, found 65
     --> game.toml:7:11
      |
    7 | threads = 65
      |           ^^
      |
      = hint: choose a number within the limits

    error[E004]: "reattach" must be a boolean, found a string
     --> game.toml:8:12
      |
    8 | reattach = "yes"
      |            ^^^^^ expected a boolean
      |
      = hint: write `true` or `false`

    game.toml: 4 errors
    "#);
}

#[test]
fn a_number_with_a_fraction_is_no_integer() {
    insta::assert_snapshot!(refused_source("process = \"a\"\nthreads = 2.0"), @r#"
    error[E004]: "threads" must be an integer, found a float
     --> game.toml:5:11
      |
    5 | threads = 2.0
      |           ^^^ expected an integer
      |
      = hint: write it without quotation marks and without a point

    game.toml: 1 error
    "#);
}

#[test]
fn a_table_of_several_kinds_is_checked_as_the_kind_that_it_names() {
    insta::assert_snapshot!(refused_source("process = \"a\"\nstart = { at = \"module\", nam = \"x\", offset = 1 }"), @r#"
    error[E005]: unknown option "nam" in "start"
     --> game.toml:5:26
      |
    5 | start = { at = "module", nam = "x", offset = 1 }
      |                          ^^^
      |
      = hint: did you mean "name"?

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(refused_source("process = \"a\"\nstart = { at = \"modul\" }"), @r#"
    error[E007]: "start.at" can't be "modul": it takes "module", "address"
     --> game.toml:5:16
      |
    5 | start = { at = "modul" }
      |                ^^^^^^^
      |
      = hint: did you mean "module"?

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(refused_source("process = \"a\"\nstart = { name = \"x\" }"), @r#"
    error[E006]: the option "at" is missing in "start"
     --> game.toml:5:9
      |
    5 | start = { name = "x" }
      |         ^^^^^^^^^^^^^^
      |
      = hint: add `at = "module"`, or another of: module, address

    game.toml: 1 error
    "#);
}

#[test]
fn what_the_plugin_itself_refuses_points_at_its_option() {
    insta::assert_snapshot!(
        refused_source("process = \"a\"\nattributes.health = { type = \"int\", pattern = \"zz\" }"), @r#"
    error[E012]: source "game": "zz" in "health" is no pattern
     --> game.toml:5:47
      |
    5 | attributes.health = { type = "int", pattern = "zz" }
      |                                               ^^^^
      |
      = hint: write bytes as two hex digits each, `??` for any

    game.toml: 1 error
    "#);
}

#[test]
fn a_wrong_type_of_the_engines_keys() {
    let text = r#"session = 5
[sources.game]
plugin = 7
rate = "60Hz"

[sources]
other = "x"

[sinks.h5]
plugin = "hdf5"
inputs = "game"
queue = "big"
"#;
    insta::assert_snapshot!(refused(text), @r#"
    error[E004]: "session" must be a table, found an integer
     --> game.toml:1:11
      |
    1 | session = 5
      |           ^ expected a table
      |
      = hint: write `[session]` or `{ … }`

    error[E004]: "plugin" must be a string, found an integer
     --> game.toml:3:10
      |
    3 | plugin = 7
      |          ^ expected a string
      |
      = hint: write it in quotation marks

    error[E004]: "other" must be a table, found a string
     --> game.toml:7:9
      |
    7 | other = "x"
      |         ^^^ expected a table
      |
      = hint: a stage is a table: `[sources.other]`, below it `plugin = "…"`

    error[E004]: "inputs" must be an array, found a string
      --> game.toml:11:10
       |
    11 | inputs = "game"
       |          ^^^^^^ expected an array
       |
       = hint: write `inputs = ["game"]`

    error[E004]: "queue" must be a table, found a string
      --> game.toml:12:9
       |
    12 | queue = "big"
       |         ^^^^^ expected a table
       |
       = hint: write `[queue]` or `{ … }`

    game.toml: 5 errors
    "#);
}

#[test]
fn limits_of_a_session_and_a_rate() {
    let lines = r#"duration = "0s"
flush_interval = "2h"
disk_free_min = "1"
directory = "~/recordings"
journal = "never""#;
    insta::assert_snapshot!(refused_session(lines), @r#"
    error[E007]: "duration" must be 1ms to 8784h, found 0s
     --> game.toml:2:12
      |
    2 | duration = "0s"
      |            ^^^^
      |
      = hint: choose a duration within the limits

    error[E007]: "flush_interval" must be 1ms to 1h, found 2h
     --> game.toml:3:18
      |
    3 | flush_interval = "2h"
      |                  ^^^^
      |
      = hint: choose a duration within the limits

    error[E007]: "1" is not a size: expected one of the units B, kB, KB, MB, GB, TB, KiB, MiB, GiB, TiB
     --> game.toml:4:17
      |
    4 | disk_free_min = "1"
      |                 ^^^
      |
      = hint: write a number and a unit in quotation marks, for example `disk_free_min = "64MiB"`

    error[E007]: "~" is not replaced in "directory"
     --> game.toml:5:13
      |
    5 | directory = "~/recordings"
      |             ^^^^^^^^^^^^^^
      |
      = hint: write `${HOME}` instead

    error[E007]: "journal" can't be "never": it takes "auto", "keep", "off"
     --> game.toml:6:11
      |
    6 | journal = "never"
      |           ^^^^^^^
      |
      = hint: write one of these

    game.toml: 5 errors
    "#);
    insta::assert_snapshot!(refused(&GAME.replace("60", "100000.5")), @r#"
    error[E007]: "rate" must be above 0 and at most 100000 Hz, found 100000.5
     --> game.toml:4:8
      |
    4 | rate = 100000.5
      |        ^^^^^^^^
      |
      = hint: write for example `rate = 60` or `rate = "60Hz"`

    game.toml: 1 error
    "#);
}

#[test]
fn limits_of_a_queue() {
    let queue = r#"[{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
queue = { frames = 16_777_217 }"#;
    insta::assert_snapshot!(refused(&GAME.replace("[\"game\"]", queue)), @r#"
    error[E007]: "frames" must be 1 to 16777216, found 0
     --> game.toml:8:47
      |
    8 | inputs = [{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
      |                                               ^
      |
      = hint: choose a number within the limits

    error[E007]: "bytes" must be 4KiB to 1TiB, found 1kB
     --> game.toml:8:58
      |
    8 | inputs = [{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
      |                                                          ^^^^^
      |
      = hint: choose a size within the limits

    error[E007]: "time" must be 1ms to 1h, found 0ms
     --> game.toml:8:72
      |
    8 | inputs = [{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
      |                                                                        ^^^^^
      |
      = hint: choose a duration within the limits

    error[E007]: "when_full" can't be "drop": it takes "block", "drop_newest", "drop_oldest"
     --> game.toml:8:91
      |
    8 | inputs = [{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
      |                                                                                           ^^^^^^
      |
      = hint: did you mean "drop_oldest"?

    error[E005]: unknown key "size" in a queue
     --> game.toml:8:99
      |
    8 | inputs = [{ from = "game", queue = { frames = 0, bytes = "1kB", time = "0ms", when_full = "drop", size = 1 } }]
      |                                                                                                   ^^^^
      |
      = hint: keys here: "bytes", "frames", "time", "when_full"

    error[E007]: "frames" must be 1 to 16777216, found 16777217
     --> game.toml:9:20
      |
    9 | queue = { frames = 16_777_217 }
      |                    ^^^^^^^^^^
      |
      = hint: choose a number within the limits

    game.toml: 6 errors
    "#);
}

#[test]
fn a_stage_without_a_plugin() {
    insta::assert_snapshot!(
        refused("[sources.game]\npluggin = \"memory\"\n[sinks.h5]\ninputs = [\"game\"]\n"), @r#"
    error[E005]: unknown key "pluggin" in a source
     --> game.toml:2:1
      |
    2 | pluggin = "memory"
      | ^^^^^^^
      |
      = hint: did you mean "plugin"?

    error[E006]: the sink "h5" names no plugin
     --> game.toml:3:8
      |
    3 | [sinks.h5]
      |        ^^
      |
      = hint: add `plugin = "…"`; sinks: "hdf5", "null"

    game.toml: 2 errors
    "#);
}

#[test]
fn ids_that_no_file_can_have() {
    insta::assert_snapshot!(refused(&GAME.replace("sources.game", "sources.\"a b\"").replace("\"game\"", "\"*\"")), @r#"
    error[E013]: "a b" can't be the id of a stage
     --> game.toml:1:10
      |
    1 | [sources."a b"]
      |          ^^^^^
      |
      = hint: files are named after it: use letters, digits, `_` and `-`, 128 at most

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(refused(&GAME.replace("sources.game", "sources.\"\"").replace("\"game\"", "\"*\"")), @r#"
    error[E013]: "" can't be the id of a stage
     --> game.toml:1:10
      |
    1 | [sources.""]
      |          ^^
      |
      = hint: files are named after it: use letters, digits, `_` and `-`, 128 at most

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(refused(&GAME.replace("sinks.h5", "sinks.h5.x")), @r#"
    error[E006]: the sink "h5" names no plugin
     --> game.toml:6:8
      |
    6 | [sinks.h5.x]
      |        ^^
      |
      = hint: add `plugin = "…"`; sinks: "hdf5", "null"

    error[E017]: the sink "h5" has no inputs
     --> game.toml:6:8
      |
    6 | [sinks.h5.x]
      |        ^^
      |
      = hint: say where frames come from: `inputs = ["game"]`

    game.toml: 2 errors
    "#);
}

#[test]
fn an_id_that_two_stages_of_different_kinds_have() {
    insta::assert_snapshot!(refused(&GAME.replace("sinks.h5", "sinks.game")), @r#"
    error[E014]: the id "game" is given twice: to a source and to a sink
     --> game.toml:6:8
      |
    1 | [sources.game]
      |          ---- first given here
    ...
    6 | [sinks.game]
      |        ^^^^ given again
      |
      = hint: each stage needs an id of its own: give one of the two another name

    game.toml: 1 error
    "#);
}

#[test]
fn an_id_that_two_stages_of_one_kind_have() {
    insta::assert_snapshot!(refused(&format!("{GAME}\n[sources.game]\nplugin = \"screen\"\nrate = 1\n")), @r#"
    error[E014]: the id "game" is given twice
      --> game.toml:10:10
       |
    10 | [sources.game]
       |          ^^^^ given again
       |
       = hint: each stage needs an id of its own: give this one another name

    game.toml: 1 error
    "#);
}

#[test]
fn a_key_that_is_given_twice() {
    insta::assert_snapshot!(refused(&GAME.replace("rate = 60", "rate = 60\nrate = 30")), @r#"
    error[E003]: "rate" is given twice
     --> game.toml:5:1
      |
    5 | rate = 30
      | ^^^^ given again
      |
      = hint: TOML takes a key or table once only: remove one of the two

    game.toml: 1 error
    "#);
}

#[test]
fn an_empty_pipeline_has_no_source_and_no_sink() {
    insta::assert_snapshot!(refused(""), @r#"
    error[E015]: the pipeline has no source: nothing gives frames
     --> game.toml:1:1
      |
    1 |
      | ^
      |
      = hint: add a table `[sources.NAME]` with `plugin = "…"`

    error[E016]: the pipeline has no sink: nothing keeps frames
     --> game.toml:1:1
      |
    1 |
      | ^
      |
      = hint: add a table `[sinks.NAME]` with `plugin = "…"`

    game.toml: 2 errors
    "#);
    insta::assert_snapshot!(refused("[sources]\n[sinks]\n"), @r#"
    error[E015]: the pipeline has no source: nothing gives frames
     --> game.toml:1:2
      |
    1 | [sources]
      |  ^^^^^^^
      |
      = hint: add a table `[sources.NAME]` with `plugin = "…"`

    error[E016]: the pipeline has no sink: nothing keeps frames
     --> game.toml:2:2
      |
    2 | [sinks]
      |  ^^^^^
      |
      = hint: add a table `[sinks.NAME]` with `plugin = "…"`

    game.toml: 2 errors
    "#);
}

#[test]
fn stages_without_inputs() {
    insta::assert_snapshot!(
        refused(&format!("{GAME}[transforms.t]\nplugin = \"pass\"\n[sinks.n]\nplugin = \"null\"\ninputs = []\n")), @r#"
    error[E017]: the transform "t" has no inputs
     --> game.toml:9:13
      |
    9 | [transforms.t]
      |             ^
      |
      = hint: say where frames come from: `inputs = ["game"]`

    error[E017]: the sink "n" has no inputs
      --> game.toml:11:8
       |
    11 | [sinks.n]
       |        ^
       |
       = hint: say where frames come from: `inputs = ["game"]`

    game.toml: 2 errors
    "#);
}

#[test]
fn inputs_that_match_nothing() {
    let inputs = r#"inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]"#;
    insta::assert_snapshot!(refused(&GAME.replace("inputs = [\"game\"]", inputs)), @r#"
    error[E018]: the input "gmae" matches nothing
     --> game.toml:8:11
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |           ^^^^^^
      |
      = hint: did you mean "game"?

    error[E018]: the input "x*" matches nothing
     --> game.toml:8:19
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                   ^^^^
      |
      = hint: sources and transforms: "game"

    error[E018]: "h5" is a sink: nothing can be read from it
     --> game.toml:8:25
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                         ^^^^
      |
      = hint: sources and transforms: "game"

    error[E018]: the input "desk.video" matches nothing
     --> game.toml:8:31
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                               ^^^^^^^^^^^^
      |
      = hint: sources and transforms: "game"

    error[E018]: the input "game." matches nothing
     --> game.toml:8:45
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                                             ^^^^^^^
      |
      = hint: behind the dot stands the name of a stream: `id.stream`

    error[E018]: the input "" matches nothing
     --> game.toml:8:54
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                                                      ^^
      |
      = hint: sources and transforms: "game"

    error[E004]: an input must be a string or a table, found an integer
     --> game.toml:8:58
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                                                          ^
      |
      = hint: write the id of a source or transform in quotation marks

    error[E005]: unknown key "form" in an input
     --> game.toml:8:63
      |
    8 | inputs = ["gmae", "x*", "h5", "desk.video", "game.", "", 5, { form = "game" }]
      |                                                               ^^^^
      |
      = hint: did you mean "from"?

    game.toml: 8 errors
    "#);
}

#[test]
fn inputs_that_are_listed_twice() {
    insta::assert_snapshot!(refused(&GAME.replace("[\"game\"]", "[\"game\", \"g*\", \"game.video\"]")), @r#"
    error[E019]: the input "g*" means "game", which is listed already
     --> game.toml:8:19
      |
    8 | inputs = ["game", "g*", "game.video"]
      |           ------  ^^^^ listed again
      |           |
      |           first listed here
      |
      = hint: every frame would be written twice: name each stream once

    error[E019]: the input "game.video" means "game", which is listed already
     --> game.toml:8:25
      |
    8 | inputs = ["game", "g*", "game.video"]
      |           ------        ^^^^^^^^^^^^ listed again
      |           |
      |           first listed here
      |
      = hint: every frame would be written twice: name each stream once

    game.toml: 2 errors
    "#);
    let apart = GAME.replace("[\"game\"]", "[\"game.video\", \"game.input\"]");
    assert_eq!(checked(&apart).nodes[1].inputs.len(), 2);
}

#[test]
fn a_stage_that_nothing_reads_is_a_warning() {
    let pipeline = checked(&format!("{GAME}[sources.desk]\nplugin = \"screen\"\n"));
    insta::assert_snapshot!(pipeline.warnings, @r#"
    warning[W001]: nothing reads the source "desk"
     --> game.toml:9:10
      |
    9 | [sources.desk]
      |          ^^^^
      |
      = hint: name it in the `inputs` of a sink or transform: `inputs = ["desk"]`

    game.toml: 1 warning
    "#);
}

#[test]
fn a_cycle_is_printed_whole() {
    let transforms = r#"
[transforms.a]
plugin = "pass"
inputs = ["game", "c"]

[transforms.b]
plugin = "pass"
inputs = ["a"]

[transforms.c]
plugin = "pass"
inputs = ["b"]

[transforms.below]
plugin = "pass"
inputs = ["c"]
"#;
    insta::assert_snapshot!(refused(&format!("{GAME}{transforms}")), @r#"
    error[E020]: the stages feed themselves: a -> b -> c -> a
      --> game.toml:12:19
       |
    12 | inputs = ["game", "c"]
       |                   ^^^
       |
       = hint: frames flow from sources to sinks: take one of these inputs out

    warning[W001]: nothing reads the transform "below"
      --> game.toml:22:13
       |
    22 | [transforms.below]
       |             ^^^^^
       |
       = hint: name it in the `inputs` of a sink or transform: `inputs = ["below"]`

    game.toml: 1 error and 1 warning
    "#);
}

#[test]
fn a_stage_that_reads_itself_is_a_cycle() {
    insta::assert_snapshot!(refused(&format!("{GAME}[transforms.a]\nplugin = \"pass\"\ninputs = [\"a\"]\n")), @r#"
    error[E020]: the stages feed themselves: a -> a
      --> game.toml:11:11
       |
    11 | inputs = ["a"]
       |           ^^^
       |
       = hint: frames flow from sources to sinks: take one of these inputs out

    game.toml: 1 error
    "#);
}

#[test]
fn a_kind_that_a_sink_cannot_take_is_followed_through_transforms() {
    let text = r#"[sources.desk]
plugin = "screen"

[transforms.t]
plugin = "pass"
inputs = ["desk"]

[transforms.read]
plugin = "ocr"
inputs = ["t"]

[sinks.h5]
plugin = "hdf5"
inputs = ["t", "read"]
"#;
    insta::assert_snapshot!(refused(text), @r#"
    error[E021]: the sink "h5" can't take what "t" gives
      --> game.toml:14:11
       |
    14 | inputs = ["t", "read"]
       |           ^^^ gives "image"
       |
       = hint: "h5" takes "attributes", "event": choose another sink for it

    game.toml: 1 error
    "#);
}

#[test]
fn rates_where_they_are_missing_or_out_of_place() {
    let text = GAME
        .replace("rate = 60\n", "inputs = [\"h5\"]\n")
        .replace("plugin = \"hdf5\"", "plugin = \"hdf5\"\nrate = 5");
    insta::assert_snapshot!(refused(&text), @r#"
    error[E022]: the source "game" has no rate: "memory" is polled
     --> game.toml:1:10
      |
    1 | [sources.game]
      |          ^^^^
      |
      = hint: say how often, in Hz: `rate = 60`

    error[E023]: a source has no "inputs"
     --> game.toml:4:1
      |
    4 | inputs = ["h5"]
      | ^^^^^^
      |
      = hint: frames come from the source itself: remove the key

    error[E023]: a sink has no "rate"
     --> game.toml:8:1
      |
    8 | rate = 5
      | ^^^^
      |
      = hint: only sources are polled: put the rate on the source

    game.toml: 3 errors
    "#);
}

#[test]
fn two_sinks_on_one_file() {
    let more = "[sinks.other]\nplugin = \"null\"\ninputs = [\"game\"]\npath = \"./h5.h5\"\n";
    insta::assert_snapshot!(refused(&format!("{GAME}{more}")), @r#"
    error[E024]: the sinks "h5" and "other" write the same file: h5.h5
      --> game.toml:12:8
       |
     6 | [sinks.h5]
       |        -- the other one
    ...
    12 | path = "./h5.h5"
       |        ^^^^^^^^^
       |
       = hint: give one of the two another `path`

    game.toml: 1 error
    "#);
}

#[test]
fn files_stay_inside_of_the_session_folder() {
    for path in ["/tmp/x.h5", "../x.h5", "a/../../x", "", ".", "a/"] {
        let text = refused(&format!("{GAME}path = \"{path}\"\n"));
        assert!(text.contains("error[E025]"), "{path}: {text}");
    }
    insta::assert_snapshot!(refused(&format!("{GAME}path = \"/tmp/x.h5\"\n")), @r#"
    error[E025]: the file "/tmp/x.h5" is not inside the session folder
     --> game.toml:9:8
      |
    9 | path = "/tmp/x.h5"
      |        ^^^^^^^^^^^
      |
      = hint: write a path without a leading `/` and without `..`, or leave it out for the id "h5"

    game.toml: 1 error
    "#);
    insta::assert_snapshot!(refused(&format!("{GAME}path = \"session.json\"\n")), @r#"
    error[E024]: "session.json" is the file of the session itself
     --> game.toml:9:8
      |
    9 | path = "session.json"
      |        ^^^^^^^^^^^^^^
      |
      = hint: give the sink another `path`

    game.toml: 1 error
    "#);
    assert_eq!(checked(&format!("{GAME}path = \"sub/./x.h5\"\n")).nodes.len(), 2);
}

#[test]
fn variables_that_are_missing_point_at_themselves() {
    let text = GAME.replace("\"arcade\"", "\"the ${NAME} and ${\"").replace("60", "\"${RATE}\"");
    insta::assert_snapshot!(wrong(&text, &Variables::none().with("NAMES", "x")).render(Style::Plain), @r#"
    warning[W002]: the setting "NAMES" is used nowhere in the pipeline
    --> game.toml
     = hint: did you mean "NAME"?

    error[E008]: the variable "NAME" is not set
     --> game.toml:3:16
      |
    3 | process = "the ${NAME} and ${"
      |                ^^^^^^^
      |
      = hint: did you mean "NAMES"? or set it with `--set NAME=value` or in the environment, or give a default: `${NAME:-value}`

    error[E009]: this is no variable: the `}` is missing
     --> game.toml:3:28
      |
    3 | process = "the ${NAME} and ${"
      |                            ^^
      |
      = hint: write `${NAME}` or `${NAME:-default}`; for a plain `${` write `$${`

    error[E008]: the variable "RATE" is not set
     --> game.toml:4:9
      |
    4 | rate = "${RATE}"
      |         ^^^^^^^
      |
      = hint: set it with `--set RATE=value` or in the environment, or give a default: `${RATE:-value}`

    game.toml: 3 errors and 1 warning
    "#);
}

#[test]
fn a_variable_of_the_wrong_type_or_out_of_range() {
    let text = GAME.replace("60", "\"${RATE:-fast}\"").replace("\"arcade\"", "\"a\"\nthreads = \"${N}\"");
    insta::assert_snapshot!(wrong(&text, &Variables::none().with("N", "99")).render(Style::Plain), @r#"
    error[E007]: "threads" must be at least 1 and at most 64 threads, found 99
     --> game.toml:4:11
      |
    4 | threads = "${N}"
      |           ^^^^^^
      |
      = hint: choose a number within the limits

    error[E007]: "fast" is not a frequency: expected a number and a unit (mHz, Hz, kHz, MHz)
     --> game.toml:5:8
      |
    5 | rate = "${RATE:-fast}"
      |        ^^^^^^^^^^^^^^^
      |
      = hint: write for example `rate = 60` or `rate = "60Hz"`

    game.toml: 2 errors
    "#);
}

#[test]
fn a_setting_that_the_pipeline_does_not_use_is_a_warning() {
    let text = GAME.replace("60", "\"${RATE:-60}\"");
    let pipeline = parse("game.toml", &text, &Variables::none().with("RTAE", "1"), &registry());
    insta::assert_snapshot!(pipeline.unwrap_or_else(|wrong| panic!("{wrong}")).warnings, @r#"
    warning[W002]: the setting "RTAE" is used nowhere in the pipeline
    --> game.toml
     = hint: did you mean "RATE"?

    game.toml: 1 warning
    "#);
}

#[test]
fn numbers_that_are_too_large_or_not_finite() {
    insta::assert_snapshot!(
        refused(&GAME.replace("60", "inf").replace("\"arcade\"", "\"a\"\nthreads = 99999999999999999999")), @r#"
    error[E007]: 99999999999999999999 is too large for an integer
     --> game.toml:4:11
      |
    4 | threads = 99999999999999999999
      |           ^^^^^^^^^^^^^^^^^^^^
      |
      = hint: integers go from -2^63 to 2^64 - 1

    error[E007]: inf can't be used here
     --> game.toml:5:8
      |
    5 | rate = inf
      |        ^^^
      |
      = hint: write a number that is finite

    game.toml: 2 errors
    "#);
}

#[test]
fn the_session_takes_only_its_own_keys() {
    insta::assert_snapshot!(refused_session("dirctory = \"x\"\nduration = 5"), @r#"
    error[E005]: unknown key "dirctory" in [session]
     --> game.toml:2:1
      |
    2 | dirctory = "x"
      | ^^^^^^^^
      |
      = hint: did you mean "directory"?

    error[E004]: "duration" must be a duration, found an integer
     --> game.toml:3:12
      |
    3 | duration = 5
      |            ^ expected a duration
      |
      = hint: write a number and a unit in quotation marks, for example `duration = "5s"`

    game.toml: 2 errors
    "#);
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| crate::pipeline::load(&folder.path().join(name), &Variables::none(), &registry());
    let shown =
        |wrong: Diagnostics| wrong.to_string().replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!(shown(load("absent.toml").err().unwrap()), @r#"
    error[E001]: can't read the pipeline: No such file or directory (os error 2)
    --> FOLDER/absent.toml
     = hint: give the path of a pipeline's TOML file

    FOLDER/absent.toml: 1 error
    "#);
    std::fs::write(folder.path().join("latin.toml"), b"[session]\n# gr\xfc\xdfe\n").unwrap();
    insta::assert_snapshot!(shown(load("latin.toml").err().unwrap()), @r#"
    error[E002]: invalid TOML: the text is not UTF-8
     --> FOLDER/latin.toml:2:5
      |
    2 | # gr��e
      |     ^
      |
      = hint: save the file with the encoding UTF-8

    FOLDER/latin.toml: 1 error
    "#);
}

#[test]
fn diagnostics_are_also_json() {
    let json = wrong(&GAME.replace("memory", "memroy"), &Variables::none()).to_json();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json).unwrap(), @r#"
    [
      {
        "severity": "error",
        "code": "E010",
        "message": "there is no source \"memroy\"",
        "file": "game.toml",
        "start": {
          "line": 2,
          "column": 10
        },
        "end": {
          "line": 2,
          "column": 18
        },
        "label": null,
        "hint": "did you mean \"memory\"?"
      }
    ]
    "#);
}
