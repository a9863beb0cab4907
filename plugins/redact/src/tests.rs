//! No secret survives, however it is cut; what is no secret is as it was; rows stay rows.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tapedeck_sdk::Opener;
use tapedeck_sdk::testing::{FakeHost, conformance, joined, samples};

use super::*;

/// A frame: milliseconds, connection, code, data.
type Frame<'a> = (i64, &'a str, &'a str, &'a [u8]);

fn schema() -> Arc<StreamSchema> {
    StreamSchema::builder("shell", Kind::Terminal)
        .field("connection", DataType::Utf8)
        .field("code", DataType::Utf8)
        .field("data", DataType::Binary)
        .metadata("tapedeck.terminal.single", "true")
        .build()
        .unwrap()
}

fn batch(first_seq: u64, frames: &[Frame<'_>]) -> Batch {
    let mut pool = BatchPool::new(schema());
    let mut builder = pool.builder(frames.len());
    for (at, connection, code, data) in frames {
        builder
            .push_row(Timestamp(at * 1_000_000))
            .set_str(0, connection)
            .set_str(1, code)
            .set_bytes(2, data);
    }
    let mut batch = builder.finish();
    batch.stamp(first_seq, Timestamp(0));
    batch
}

#[derive(Default)]
struct Collected(Vec<Batch>);

impl Outputs for Collected {
    fn push(&mut self, _output: usize, batch: Batch) {
        self.0.push(batch);
    }
}

fn open(options: &Value) -> Box<dyn Transform> {
    let factory = factory();
    let Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(options, FakeHost::new(&std::env::temp_dir()).context("safe")).unwrap();
    transform.streams(&[schema()]).unwrap();
    transform
}

/// A row that came out: seq, code, data.
type Row = (u64, String, Vec<u8>);

fn rows(batches: &[Batch]) -> Vec<Row> {
    let row = |batch: &Batch, row: usize| {
        (batch.seq()[row], batch.column(1).str_at(row).to_owned(), batch.column(2).bytes_at(row).to_vec())
    };
    batches.iter().flat_map(|batch| (0..batch.rows()).map(move |at| row(batch, at))).collect()
}

/// Every frame in a batch of its own.
fn run(options: &Value, frames: &[Frame<'_>]) -> Vec<Row> {
    let (mut transform, mut out) = (open(options), Collected::default());
    for (seq, frame) in (0..).zip(frames) {
        transform.process(0, batch(seq, std::slice::from_ref(frame)), &mut out).unwrap();
    }
    transform.finish(&mut out).unwrap();
    rows(&out.0)
}

fn text(rows: &[Row], code: &str) -> String {
    let bytes: Vec<u8> = rows.iter().filter(|row| row.1 == code).flat_map(|row| row.2.clone()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The output of text in pieces of one connection, a millisecond apart.
fn masked(options: &Value, pieces: &[&[u8]]) -> String {
    let frames: Vec<Frame<'_>> = (0..).zip(pieces).map(|(at, piece)| (at, "a", "o", *piece)).collect();
    text(&run(options, &frames), "o")
}

fn stars(text: &str) -> String {
    text.chars().map(|letter| if matches!(letter, '\r' | '\n') { letter } else { '*' }).collect()
}

/// Made up, of the right form.
fn secrets() -> Vec<String> {
    let letters = |count: usize| "aB3dE5gH7jK9".chars().cycle().take(count).collect::<String>();
    let big = |count: usize| "AB3DE5GH7JK9".chars().cycle().take(count).collect::<String>();
    let lines: Vec<String> = (0..8).map(|_| letters(64)).collect();
    vec![
        format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\r\n{}\r\n-----END OPENSSH PRIVATE KEY-----",
            lines.join("\r\n")
        ),
        format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{}\n-----END RSA PRIVATE KEY-----",
            lines[..3].join("\n")
        ),
        format!("AKIA{}", big(16)),
        format!("aws_secret_access_key = {}", letters(40)),
        format!("AGE-SECRET-KEY-1{}", big(58)),
        format!("ghp_{}", letters(36)),
        format!("github_pat_{}", letters(30)),
        format!("glpat-{}", letters(20)),
        format!("xoxb-{}", letters(24)),
        format!("sk_live_{}", letters(24)),
        format!("sk-proj-{}", letters(40)),
        format!("npm_{}", letters(36)),
        format!("pypi-{}", letters(60)),
        format!("AIza{}", letters(35)),
        format!("hf_{}", letters(34)),
        format!("eyJ{}.eyJ{}.{}", letters(20), letters(30), letters(43)),
        format!("Authorization: Bearer {}", letters(20)),
        "4111111111111111".to_owned(),
        "5555 5555 5555 4444".to_owned(),
        "3782-822463-10005".to_owned(),
        "6011000990139424".to_owned(),
    ]
}

#[test]
fn every_built_in_secret_is_masked_wherever_it_is_split() {
    for secret in secrets() {
        let whole = format!("before {secret} after\r\n");
        let expected = format!("before {} after\r\n", stars(&secret));
        assert_eq!(masked(&json!({}), &[whole.as_bytes()]), expected);
        for at in 0..=whole.len() {
            let (head, tail) = whole.as_bytes().split_at(at);
            assert_eq!(masked(&json!({}), &[head, tail]), expected, "{secret} at {at}");
        }
        let bytes: Vec<&[u8]> = whole.as_bytes().chunks(1).collect();
        // All in one moment: a key has more bytes than there are milliseconds to wait.
        let frames: Vec<Frame<'_>> = bytes.iter().map(|byte| (0, "a", "i", *byte)).collect();
        assert_eq!(text(&run(&json!({}), &frames), "i"), expected, "{secret} by bytes");
    }
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for innocent in [
        "4111111111111112",
        "41111111111111110",
        "14111111111111111",
        "1111111111111117",
        "4111 1111 1111",
        "AKIA123",
        "xAKIAAB3DE5GH7JK9AB3D",
        "ghp_short",
        "task-force-of-the-very-long-name",
        "-----BEGIN PUBLIC KEY-----\r\nabc",
        "2023-11-14T22:13:20.000000000",
        "3.14159265358979323846",
        "$ ls -la\r\ntotal 4\r\n",
        "\u{1b}[0m\u{fffd}é😀",
    ] {
        for size in [1, 2, 1000] {
            let pieces: Vec<&[u8]> = innocent.as_bytes().chunks(size).collect();
            assert_eq!(masked(&json!({}), &pieces), innocent);
        }
    }
    // Only what was asked for.
    let text = "4111111111111111 AKIAAB3DE5GH7JK9AB3D ";
    assert_eq!(masked(&json!({ "builtin": [] }), &[text.as_bytes()]), text);
    assert_eq!(
        masked(&json!({ "builtin": ["cards"] }), &[text.as_bytes()]),
        "**************** AKIAAB3DE5GH7JK9AB3D "
    );
    assert_eq!(
        masked(&json!({ "builtin": ["keys"] }), &[text.as_bytes()]),
        "4111111111111111 ******************** "
    );
}

#[test]
fn patterns_of_the_user_are_masked_by_the_character() {
    let options = json!({ "builtin": [], "patterns": { "name": "J[oö]rg|😀+", "room": r"\broom \d+\b", "bytes": r"(?-u)\xff\xfe+" } });
    let whole = "Jörg 😀😀 in room 12, broom 12, room 12a\r\n";
    let expected = "**** ** in *******, broom 12, room 12a\r\n";
    for at in 0..=whole.len() {
        let (head, tail) = whole.as_bytes().split_at(at);
        assert_eq!(masked(&options, &[head, tail]), expected, "{at}");
    }
    assert_eq!(masked(&options, &[b"a\xff", b"\xfe", b"\xfe", b"b"]), "a*".to_owned() + "**b");
}

#[test]
fn of_two_patterns_that_overlap_both_are_masked() {
    let options = json!({ "patterns": { "short": "ghp_", "from": "abcdef", "to": "defghi" } });
    let token = format!("ghp_{}", "a".repeat(36));
    assert_eq!(
        masked(&options, &[token.as_bytes(), b" abcdefghij"]),
        format!("{} *********j", stars(&token))
    );
    let fixed = json!({ "builtin": [], "patterns": { "a": "a[a-z]{3}" } });
    assert_eq!(masked(&fixed, &[b"xaxaxyz"]), "x******");
}

#[test]
fn rows_keep_their_seq_and_wait_only_as_long_as_they_must() {
    let (mut transform, mut out) = (open(&json!({})), Collected::default());
    let mut feed = |seq, frame: Frame<'_>, out: &mut Collected| {
        transform.process(0, batch(seq, &[frame]), out).unwrap();
        rows(&std::mem::take(&mut out.0)).into_iter().map(|row| (row.0, row.2)).collect::<Vec<_>>()
    };
    let row = |seq, data: &str| (seq, data.as_bytes().to_vec());
    assert_eq!(feed(0, (0, "a", "o", b"plain, "), &mut out), [row(0, "plain, ")]);
    assert_eq!(feed(1, (1, "a", "o", b"gh"), &mut out), []);
    // Another connection is behind it, because rows stay in order.
    assert_eq!(feed(2, (2, "b", "o", b"hello"), &mut out), []);
    assert_eq!(feed(3, (3, "a", "o", b"ost. "), &mut out), [row(1, "gh"), row(2, "hello"), row(3, "ost. ")]);
    // A frame of another connection is late enough to let it go.
    assert_eq!(feed(4, (10, "a", "o", b"ghp_abc"), &mut out), []);
    assert_eq!(feed(5, (209, "b", "r", b"80x24"), &mut out), []);
    assert_eq!(
        feed(6, (210, "b", "r", b"80x24"), &mut out),
        [row(4, "ghp_abc"), row(5, "80x24"), row(6, "80x24")]
    );
    // What comes of the secret now is masked all the same.
    let rest = "d".repeat(33);
    assert_eq!(
        feed(7, (300, "a", "o", format!("{rest} end").as_bytes()), &mut out),
        [row(7, &format!("{} end", stars(&rest)))]
    );
    // An exit lets everything go.
    assert_eq!(feed(8, (301, "a", "o", b"gh"), &mut out), []);
    assert_eq!(feed(9, (302, "a", "x", b"0"), &mut out), [row(8, "gh"), row(9, "0")]);
    assert_eq!(feed(10, (303, "c", "o", b"AKI"), &mut out), []);
    transform.finish(&mut out).unwrap();
    assert_eq!(rows(&out.0)[0].2, b"AKI");
}

#[test]
fn no_more_than_the_limit_is_undecided_and_a_longer_secret_is_masked_as_it_goes() {
    let (mut transform, mut out) = (open(&json!({ "hold_bytes_max": 100 })), Collected::default());
    let token = format!("ghp_{}", "x".repeat(5000));
    let mut waiting = 0_usize;
    for (seq, piece) in (0..).zip(token.as_bytes().chunks(10)) {
        transform.process(0, batch(seq, &[(0, "a", "o", piece)]), &mut out).unwrap();
        waiting = usize::try_from(seq).unwrap() + 1 - out.0.iter().map(Batch::rows).sum::<usize>();
        assert!(waiting <= 11, "{waiting}");
    }
    assert!(waiting >= 9);
    transform.finish(&mut out).unwrap();
    assert_eq!(text(&rows(&out.0), "o"), stars(&token));
}

#[test]
fn a_clean_batch_goes_through_without_a_copy() {
    let (mut transform, mut out) = (open(&json!({})), Collected::default());
    let clean = batch(
        5,
        &[(0, "a", "r", b"80x24"), (0, "a", "o", b"$ "), (0, "b", "i", b"ls\r"), (0, "b", "m", b"")],
    );
    transform.process(0, clean.clone(), &mut out).unwrap();
    assert!(std::ptr::eq(out.0[0].as_bytes(), clean.as_bytes()));
    assert_eq!((out.0[0].schema().name(), out.0[0].schema().metadata()), ("safe", schema().metadata()));
    assert_eq!(transform.finish(&mut out).unwrap(), None);
}

#[test]
fn input_and_output_can_be_left_alone() {
    let card = b"4111111111111111 ";
    let frames = [(0, "a", "o", &card[..]), (1, "a", "i", &card[..])];
    for (options, output, input) in [
        (json!({}), false, false),
        (json!({ "input": false }), false, true),
        (json!({ "output": false }), true, false),
    ] {
        let rows = run(&options, &frames);
        assert_eq!((text(&rows, "o").starts_with('4'), text(&rows, "i").starts_with('4')), (output, input));
    }
}

#[test]
fn what_is_typed_at_a_password_prompt_is_left_out_up_to_enter() {
    for prompt in [
        "Password: ",
        "[sudo] password for alice: ",
        "Enter passphrase for key '/home/a/.ssh/id': ",
        "Enter PIN: ",
        "Verification code: ",
        "\u{1b}[1mPassword:\u{1b}[0m ",
        "alice@host's password:",
    ] {
        for at in 0..=prompt.len() {
            let (head, tail) = prompt.as_bytes().split_at(at);
            let frames = [
                (0, "a", "o", head),
                (1, "a", "o", tail),
                (2, "b", "i", b"ls\r"),
                (3, "a", "i", b"hun"),
                (4, "a", "o", b"*"),
                (5, "a", "i", b"ter2"),
                (6, "a", "i", b"!\rls\r"),
                (7, "a", "o", b"\r\n$ "),
                (8, "a", "i", b"pwd\r"),
            ];
            let rows = run(&json!({}), &frames);
            assert_eq!(text(&rows, "i"), "ls\r\rls\rpwd\r", "{prompt} at {at}");
            assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1, 2, 4, 6, 7, 8]);
            assert_eq!(
                text(&run(&json!({ "keep_passwords": true }), &frames), "i"),
                "ls\rhunter2!\rls\rpwd\r"
            );
            assert_eq!(text(&run(&json!({ "input": false }), &frames), "i"), "ls\r\rls\rpwd\r");
        }
    }
    for output in ["$ ", "password: \r\n$ ", "SPINNER: ", "the password is wrong", "Name: "] {
        let frames = [(0, "a", "o", output.as_bytes()), (1, "a", "i", b"ls\r")];
        assert_eq!(text(&run(&json!({}), &frames), "i"), "ls\r", "{output}");
    }
    let frames = [(0, "a", "o", &b"Password: "[..]), (1, "a", "i", b"hu\x03"), (2, "a", "i", b"ls\r")];
    assert_eq!(text(&run(&json!({}), &frames), "i"), "\u{3}ls\r");
}

#[test]
fn what_the_source_says_of_the_echo_counts_more_than_the_prompt() {
    let frames = [
        (0, "a", "e", &b"off"[..]),
        (1, "a", "o", b"Who goes there? "),
        (2, "a", "i", b"a friend"),
        (3, "a", "i", b"\r"),
        (4, "a", "i", b"again\n"),
        (5, "a", "e", b"on"),
        (6, "a", "o", b"Password: "),
        (7, "a", "i", b"shown\r"),
        (8, "b", "o", b"Password: "),
        (9, "b", "i", b"hidden\r"),
    ];
    let rows = run(&json!({}), &frames);
    assert_eq!(text(&rows, "i"), "\r\nshown\r\r");
    assert_eq!(text(&rows, "e"), "offon");
    let (mut transform, mut out) = (open(&json!({})), Collected::default());
    transform.process(0, batch(0, &frames), &mut out).unwrap();
    transform.process(0, batch(9, &[(20, "a", "o", b"4111111111111111.")]), &mut out).unwrap();
    let report = transform.finish(&mut out).unwrap();
    assert_eq!(report.unwrap(), "1 secrets masked, 19 bytes of passwords left out");
}

#[test]
fn options_that_can_not_be_used_are_refused_with_their_place() {
    for (options, place, reason) in [
        (json!({ "patterns": { "bad": "(" } }), vec!["patterns", "bad"], "unclosed group"),
        (json!({ "patterns": { "all": "a*" } }), vec!["patterns", "all"], "where there is nothing"),
        (json!({ "patterns": { "none": "[a&&b]" } }), vec!["patterns", "none"], "never matches"),
        (json!({ "patterns": { "huge": "(\\w{1000}){1000}" } }), vec!["patterns"], "can't be compiled"),
        (json!({ "hold_bytes_max": 1 << 20 }), vec!["hold_bytes_max"], "the limit is 65536"),
    ] {
        let error = factory().check(&options).unwrap_err();
        assert!(error.option == place && error.message.contains(reason), "{error:?}");
    }
    let factory = factory();
    let Opener::Transform(open) = factory.opener() else { panic!("a transform") };
    let mut transform = open(&json!({}), FakeHost::new(&std::env::temp_dir()).context("safe")).unwrap();
    let error = transform.streams(&[samples::schema(Kind::Event, "other")]).unwrap_err();
    assert!(error.message.contains("\"other\"") && error.hint.is_some(), "{error}");
}

#[test]
fn the_contract_is_kept() {
    let input = [samples::batches(&samples::schema(Kind::Terminal, "shell"), &[3, 60, 1])];
    conformance::transform(&factory(), &json!({}), &input).unwrap();
    conformance::transform(
        &factory(),
        &json!({ "patterns": { "any": ".{2,9}" }, "hold_time": "5ms" }),
        &input,
    )
    .unwrap();
    let both = [input[0].clone(), samples::batches(&samples::schema(Kind::Terminal, "other"), &[5, 5])];
    conformance::transform(&factory(), &json!({}), &both).unwrap();
}

/// Text of words that are no secrets, and secrets between them; and what is to be left of it.
fn planted() -> impl Strategy<Value = (String, String, Vec<String>)> {
    let secrets = secrets();
    let part = (prop::sample::select(secrets), "[b-fgx ✓é\r\n]{0,12}");
    prop::collection::vec(part, 1..5).prop_map(|parts| {
        let (mut text, mut expected) = (String::new(), String::new());
        for (secret, filler) in &parts {
            text += &format!("{filler}; {secret} ;");
            expected += &format!("{filler}; {} ;", stars(secret));
        }
        (text, expected, parts.into_iter().map(|part| part.0).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn no_planted_secret_survives_whatever_the_chunking(
        (text, expected, planted) in planted(), other in "[a-z ]{0,40}", sizes in prop::collection::vec(1..90_usize, 1..30),
        turns in prop::collection::vec(any::<u8>(), 30), batch_rows in 1..6_usize,
    ) {
        let (mut frames, mut rest, mut talk) = (Vec::new(), text.as_bytes(), other.as_bytes());
        for (size, turn) in sizes.iter().cycle().zip(turns.iter().cycle()) {
            // Another connection and the other direction go on in between.
            if turn % 3 == 0 && !talk.is_empty() {
                let (piece, tail) = talk.split_at(talk.len().min(5));
                frames.push((0, "b", if turn % 2 == 0 { "o" } else { "i" }, piece));
                talk = tail;
            }
            let (piece, tail) = rest.split_at(rest.len().min(*size));
            frames.push((0, "a", "o", piece));
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        for (at, frame) in (0..).zip(&mut frames) {
            frame.0 = at / 20;
        }
        let (mut transform, mut out) = (open(&json!({})), Collected::default());
        for (number, rows) in (0_u64..).zip(frames.chunks(batch_rows)) {
            transform.process(0, batch(number * batch_rows as u64, rows), &mut out).unwrap();
        }
        transform.finish(&mut out).unwrap();
        let found = joined(&out.0).unwrap();
        prop_assert_eq!(found.rows(), frames.len());
        prop_assert!(found.seq().iter().copied().eq(0..frames.len() as u64));
        prop_assert!(found.timestamps().iter().zip(&frames).all(|(at, frame)| *at == frame.0 * 1_000_000));
        let output: Vec<u8> = (0..found.rows())
            .filter(|&row| found.column(0).str_at(row) == "a")
            .flat_map(|row| found.column(2).bytes_at(row).to_vec())
            .collect();
        let output = String::from_utf8(output).unwrap();
        for secret in planted {
            prop_assert!(!output.contains(&secret));
        }
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn noise_comes_through_whole_when_nothing_is_sought(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..20)) {
        let frames: Vec<Frame<'_>> = pieces.iter().map(|piece| (0, "a", "o", &piece[..])).collect();
        for options in [json!({ "builtin": [] }), json!({})] {
            let (mut transform, mut out) = (open(&options), Collected::default());
            transform.process(0, batch(0, &frames), &mut out).unwrap();
            transform.finish(&mut out).unwrap();
            let found = joined(&out.0).unwrap();
            prop_assert!((0..found.rows()).all(|row| found.column(2).bytes_at(row) == pieces[row]));
        }
    }
}

#[test]
fn what_is_held_back_goes_on_by_itself_after_its_time() {
    let (mut transform, mut out) = (open(&json!({ "hold_time": "200ms" })), Collected::default());
    // The beginning of an access key: it may become one. Its own time is of another clock: it was recorded long ago.
    let now = FakeHost::new(&std::env::temp_dir()).now();
    transform.process(0, batch(0, &[(1000, "a", "o", b"key AKIA")]), &mut out).unwrap();
    transform.flush(now + Duration::from_millis(199), &mut out).unwrap();
    assert_eq!(rows(&out.0), []);
    transform.flush(now + Duration::from_millis(200), &mut out).unwrap();
    assert_eq!(rows(&out.0), [(0, "o".to_owned(), b"key AKIA".to_vec())]);
    // What was begun is not forgotten: the rest of it is masked.
    transform.process(0, batch(1, &[(1300, "a", "o", b"IOSFODNN7EXAMPLE done")]), &mut out).unwrap();
    transform.finish(&mut out).unwrap();
    assert_eq!(rows(&out.0)[1].2, b"**************** done");
}

proptest! {
    #[test]
    fn runs_of_digits_are_found_as_an_expression_would(text in "[0-9 \\-a]{0,60}([0-9][ -]?){0,40}[0-9 \\-a]{0,40}", from in 0_usize..70) {
        let from = from.min(text.len());
        let expression = regex_automata::meta::Regex::new("[0-9](?:[ -]?[0-9]){12,}").unwrap();
        let input = regex_automata::Input::new(&text).range(from..);
        let wanted: Vec<_> = expression.find_iter(input).map(|found| found.range()).collect();
        let mut found = Vec::new();
        crate::cards::runs(text.as_bytes(), from, |run| found.push(run));
        prop_assert_eq!(found, wanted);
    }
}
