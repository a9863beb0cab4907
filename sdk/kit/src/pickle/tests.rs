//! Pickles as CPython writes them, and as nobody should.

use proptest::prelude::*;

use super::*;

fn load(bytes: &[u8]) -> Result<Pickle<'_>, Error> {
    Pickle::load(bytes, &Limits::default())
}

/// A value as one line, without sharing.
fn shown(pickle: &Pickle, id: Id) -> String {
    let all = |ids: &[Id]| ids.iter().map(|&id| shown(pickle, id)).collect::<Vec<_>>().join(", ");
    match pickle.get(id) {
        Value::None => "None".to_owned(),
        Value::Bool(value) => format!("{value}"),
        Value::Int(number) => format!("{number}"),
        Value::Long(bytes) => format!("long {bytes:02x?}"),
        Value::Float(float) => format!("{float:?}"),
        Value::Text(text) => format!("{text:?}"),
        Value::Surrogates(bytes) => format!("surrogates {bytes:02x?}"),
        Value::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Value::ByteArray(bytes) => format!("bytearray {bytes:02x?}"),
        Value::Tuple(items) => format!("({})", all(items)),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Set(items) => format!("{{{}}}", all(items)),
        Value::FrozenSet(items) => format!("frozen{{{}}}", all(items)),
        Value::Dict(pairs) => {
            let pair =
                |(key, value): &(Id, Id)| format!("{}: {}", shown(pickle, *key), shown(pickle, *value));
            format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Global(global) => format!("{}.{}", global.0, global.1),
        Value::Object(object) => {
            let state =
                object.state.map_or(String::new(), |state| format!(" state {}", shown(pickle, state)));
            let (class, args) = (shown(pickle, object.class), shown(pickle, object.args));
            format!("{:?} {class} {args}{state}", object.made)
        }
        Value::Persistent(name) => format!("persistent {}", shown(pickle, *name)),
        Value::Extension(code) => format!("extension {code}"),
    }
}

fn read(bytes: &[u8]) -> String {
    match load(bytes) {
        Ok(pickle) => shown(&pickle, pickle.root()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn every_protocol_has_its_own_words_for_the_same_values() {
    let cases: [&[u8]; 4] = [
        b"(F1.5\n(dp0\nVa\np1\n(lp2\nI1\naI01\naNasVb\np3\nc_codecs\nencode\np4\n(V\\u00ff\np5\nVlatin1\np6\ntp7\nRp8\nstp9\n.",
        b"\x80\x02G?\xf8\0\0\0\0\0\0}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01\x88NeX\x01\0\0\0bq\x03c_codecs\nencode\nq\x04X\x02\0\0\0\xc3\xbfq\x05X\x06\0\0\0latin1q\x06\x86q\x07Rq\x08u\x86q\x09.",
        b"\x80\x03G?\xf8\0\0\0\0\0\0}q\0(X\x01\0\0\0aq\x01]q\x02(K\x01\x88NeX\x01\0\0\0bq\x03C\x01\xffq\x04u\x86q\x05.",
        b"\x80\x04\x95\x24\0\0\0\0\0\0\0G?\xf8\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01\x88Ne\x8c\x01b\x94C\x01\xff\x94u\x86\x94.",
    ];
    for bytes in cases {
        assert_eq!(read(bytes), "(1.5, {\"a\": [1, true, None], \"b\": b\"\u{fffd}\"})");
        let payload = payload_of(bytes, &Limits::default()).unwrap();
        assert_eq!(payload.pickle.get(payload.first), &Value::Float(1.5));
        assert_eq!(read(&payload.bytes), "{\"a\": [1, true, None], \"b\": b\"\u{fffd}\"}");
        assert_eq!(pair_of(1.5, &payload.bytes).unwrap(), bytes, "byte for byte");
    }
}

#[test]
fn numbers_and_texts_of_all_sizes_are_read() {
    for (bytes, value) in [
        (&b"I-5\n."[..], "-5"),
        (b"L18446744073709551616L\n.", "long [00, 00, 00, 00, 00, 00, 00, 00, 01]"),
        (b"L-9223372036854775809L\n.", "long [ff, ff, ff, ff, ff, ff, ff, 7f, ff]"),
        (b"\x80\x02\x8a\x09\0\0\0\0\0\0\0\x80\0.", "long [00, 00, 00, 00, 00, 00, 00, 80, 00]"),
        (b"\x80\x02\x8a\x00.", "0"),
        (b"\x80\x02\x8a\x02\x80\xff.", "-128"),
        (b"J\xff\xff\xff\xff.", "-1"),
        (b"S'a\\x00\\'\\n'\n.", "\"a\\0'\\n\""),
        (b"U\x02\xff\xfe.", "b\"\u{fffd}\u{fffd}\""),
        (b"Vcaf\xe9\\u20ac\\ud800\n.", "surrogates [63, 61, 66, c3, a9, e2, 82, ac, ed, a0, 80]"),
        (b"Fnan\n.", "NaN"),
        (b"\x80\x05\x96\x02\0\0\0\0\0\0\0ab.", "bytearray [61, 62]"),
        (b"c__builtin__\nset\n((lI1\natR.", "{1}"),
        (b"\x80\x04(K\x01K\x02\x91.", "frozen{1, 2}"),
    ] {
        assert_eq!(read(bytes), value);
    }
}

#[test]
fn what_python_would_call_is_kept_and_never_called() {
    let bytes = b"cos\nsystem\n(S'touch /tmp/owned'\ntR.";
    assert_eq!(read(bytes), "Call os.system (\"touch /tmp/owned\")");
    let pickle = load(bytes).unwrap();
    let again = Encoder::encode(&pickle, pickle.root(), 4).unwrap();
    assert_eq!(read(&again), read(bytes));
    assert_eq!(read(b"(ios\nsystem\n."), "Call os.system ()");
    assert_eq!(read(b"(cos\nsystem\nI1\no."), "Call os.system (1)");
    assert_eq!(read(b"\x80\x02cm\nC\n)\x81}b."), "New m.C () state {}");
}

#[test]
fn what_is_torn_deep_or_endless_is_an_error_that_says_where() {
    let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
    assert_eq!(read(&deep), "invalid pickle at byte 100500: values are nested more than 500 deep");
    let tuples = [b")".to_vec(), b"\x85".repeat(200_000), b".".to_vec()].concat();
    assert_eq!(read(&tuples), "invalid pickle at byte 0: values are nested more than 500 deep");
    for (bytes, error) in [
        (&b""[..], "invalid pickle at byte 0: it ends too early"),
        (b"K", "invalid pickle at byte 1: it ends too early"),
        (b"X\xff\xff\xff\xff", "invalid pickle at byte 5: it ends too early"),
        (b"\x80\x09N.", "pickle protocol 9 is not known"),
        (b"?", "invalid pickle at byte 0: unknown opcode 0x3f"),
        (b".", "invalid pickle at byte 0: values are missing on the stack"),
        (b"(.", "invalid pickle at byte 1: values are missing on the stack"),
        (b"t.", "invalid pickle at byte 0: a mark is missing on the stack"),
        (b"h\x00.", "invalid pickle at byte 0: nothing was kept as number 0"),
        (b"Nr\xff\xff\xff\xff.", "invalid pickle at byte 1: a value is kept under an impossible number"),
        (b"NNa.", "invalid pickle at byte 2: something is put into a value that takes nothing"),
        (b"}(Nu.", "invalid pickle at byte 3: a key without its value"),
    ] {
        assert_eq!(read(bytes), error);
    }
    let few = Limits { objects_max: 2, ..Limits::default() };
    let error = Pickle::load(b"(K\x01K\x02K\x03t.", &few).unwrap_err().to_string();
    assert_eq!(error, "invalid pickle at byte 5: more than 2 values");
}

#[test]
fn a_value_that_holds_itself_is_written_as_it_was() {
    let bytes = b"\x80\x04]\x94h\0a.";
    let pickle = load(bytes).unwrap();
    assert_eq!(
        Encoder::encode(&pickle, pickle.root(), 4).unwrap(),
        b"\x80\x04\x95\x06\0\0\0\0\0\0\0]\x94h\0a."
    );
}

#[test]
fn a_payload_that_needs_what_stands_before_it_is_written_anew() {
    // The same text is the first and the second value.
    let bytes = b"\x80\x04\x8c\x01a\x94h\0\x86\x94.";
    let payload = payload_of(bytes, &Limits::default()).unwrap();
    assert_eq!(read(&payload.bytes), "\"a\"");
}

/// Values as a tree, put into a pickle.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(Value<'static>),
    List(Vec<Tree>),
    Tuple(Vec<Tree>),
    Dict(Vec<(Tree, Tree)>),
}

impl Tree {
    fn add(&self, pickle: &mut Pickle<'static>) -> Id {
        let value = match self {
            Self::Leaf(value) => value.clone(),
            Self::List(items) => Value::List(items.iter().map(|item| item.add(pickle)).collect()),
            Self::Tuple(items) => Value::Tuple(items.iter().map(|item| item.add(pickle)).collect()),
            Self::Dict(pairs) => {
                Value::Dict(pairs.iter().map(|(key, value)| (key.add(pickle), value.add(pickle))).collect())
            }
        };
        pickle.add(value)
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-70_000..70_000_i64).prop_map(Value::Int),
        any::<f64>().prop_filter("equal to itself", |float| !float.is_nan()).prop_map(Value::Float),
        ".{0,40}".prop_map(|text| Value::Text(text.into())),
        (0..70_000_usize).prop_map(|length| Value::Bytes(vec![7; length].into())),
        any::<[u8; 3]>().prop_map(|bytes| Value::ByteArray(bytes.to_vec().into())),
    ];
    leaf.prop_map(Tree::Leaf).prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::List),
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::Tuple),
            prop::collection::vec((inner.clone(), inner), 0..5).prop_map(Tree::Dict),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_reads_back(tree in trees(), protocol in 4..=5_u8) {
        let mut pickle = Pickle::new();
        let root = tree.add(&mut pickle);
        let bytes = Encoder::encode(&pickle, root, protocol).unwrap();
        let read = load(&bytes).unwrap();
        prop_assert_eq!(shown(&read, read.root()), shown(&pickle, root));
        prop_assert_eq!(Encoder::encode(&read, read.root(), protocol).unwrap(), bytes);
    }

    #[test]
    fn rubbish_ends_in_an_error_or_a_value(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(payload) = payload_of(&bytes, &Limits::default()) {
            prop_assert!(load(&payload.bytes).is_ok());
        }
    }
}
