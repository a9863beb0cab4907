//! Sessions that are held together and watched from other threads: listening, marks, pauses, what stages are told.

use std::path::Path;
use std::time::Duration;

use tapedeck_sdk::Told;

use crate::clock::SessionClock;
use crate::pipeline::{Pipeline, Variables, parse};
use crate::run_tests::registry;
use crate::session::{Manifest, SessionEvent, Status};
use crate::sessions::Sessions;
use crate::{OpenError, RunOptions, Watch};

const PATIENCE: Duration = Duration::from_secs(30);

fn pipeline(text: &str) -> Pipeline {
    let text = format!("{text}\n[session]\ndisk_free_min = \"0B\"");
    parse("test.toml", &text, &Variables::none(), &registry()).unwrap()
}

const COUNTER: &str =
    "[sources.a]\nplugin = \"counter\"\nrate = 200\n[sinks.x]\nplugin = \"collect\"\ninputs = [\"a\"]";

fn named(folder: &Path, session: &str) -> RunOptions {
    RunOptions {
        directory: Some(folder.to_owned()),
        session: Some(session.to_owned()),
        ..RunOptions::default()
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what}: not within 30 s");
}

fn frames(watch: &Watch) -> u64 {
    watch.progress().streams[0].frames
}

#[test]
fn many_sessions_are_held_watched_and_stopped_by_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(registry());
    for name in ["one", "two", "three"] {
        sessions.start(pipeline(COUNTER), &named(folder.path(), name)).unwrap();
    }
    let ids: Vec<String> = sessions.all().iter().map(|watch| watch.id().to_owned()).collect();
    assert_eq!(ids, ["one", "three", "two"]);
    let at = |name: &str| folder.path().join(name);
    let two = sessions.get(&at("two")).unwrap();
    wait_until("frames come", || sessions.all().iter().all(|watch| frames(watch) > 5));
    assert!(!sessions.forget(&at("two")), "it runs");
    two.stop();
    let report = two.wait_for(PATIENCE).unwrap().unwrap();
    assert_eq!((report.status, two.report().is_some()), (Status::Complete, true));
    assert_eq!(report.streams[0].frames, two.progress().streams[0].frames);
    assert_eq!(two.progress().sinks[0].written, report.streams[0].frames);
    let before = frames(&sessions.get(&at("one")).unwrap());
    wait_until("the others go on", || frames(&sessions.get(&at("one")).unwrap()) > before);
    assert!(sessions.forget(&at("two")) && sessions.get(&at("two")).is_none());
    sessions.end();
    assert!(sessions.all().iter().all(|watch| watch.report().is_some()));
}

#[test]
fn who_listens_gets_the_frames_and_slow_listeners_cost_the_recording_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(registry());
    let watch = sessions.start(pipeline(COUNTER), &named(folder.path(), "s")).unwrap();
    let slow: Vec<_> = (0..20).map(|_| watch.tap("a", 1).unwrap()).collect();
    let tap = watch.tap("a", 4096).unwrap();
    let mut heard = Vec::new();
    wait_until("frames are heard", || {
        heard.extend(std::iter::from_fn(|| tap.next()).map(|batch| batch.seq()[0]));
        heard.len() >= 50
    });
    assert!(heard.is_sorted() && slow.iter().all(|tap| tap.newest().is_some()));
    let error = watch.tap("b", 1).err().unwrap();
    assert!(error.message.contains("no stream \"b\""), "{error}");
    watch.stop();
    let report = watch.wait_for(PATIENCE).unwrap().unwrap();
    assert_eq!((report.loss.dropped, report.loss.failed), (0, 0));
    assert_eq!(report.sinks[0].frames, report.streams[0].frames);
}

#[test]
fn in_a_pause_nothing_is_recorded_and_marks_and_pauses_stand_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(registry());
    let watch = sessions.start(pipeline(COUNTER), &named(folder.path(), "s")).unwrap();
    wait_until("frames come", || frames(&watch) > 5);
    watch.mark("jump");
    watch.pause();
    watch.pause();
    assert!(watch.is_paused());
    let paused_at = (frames(&watch), watch.progress().elapsed_seconds);
    let clock = SessionClock::anchored_now();
    wait_until("fifty ticks pass", || clock.now().since(clock.anchor()) >= Duration::from_millis(250));
    let still = (frames(&watch), watch.progress().elapsed_seconds);
    assert!(still.0 <= paused_at.0 + 1, "a tick may have been at hand: {paused_at:?} {still:?}");
    assert!((paused_at.1 - still.1).abs() < 1e-9, "the time stands still: {paused_at:?} {still:?}");
    watch.resume();
    wait_until("frames come again", || frames(&watch) > still.0 + 5);
    let told = Told { name: "set".to_owned(), value: 7.into() };
    watch.tell("a", told.clone()).unwrap();
    assert!(watch.tell("b", told.clone()).unwrap_err().message.contains("no stage \"b\""));
    watch.stop();
    let report = watch.wait_for(PATIENCE).unwrap().unwrap();
    let manifest = Manifest::read(&folder.path().join("s")).unwrap();
    assert_eq!(manifest.streams[0].loss.late, report.loss.late);
    let ticks = i128::from(report.streams[0].frames + report.loss.late);
    let running_millis = Duration::from_secs_f64(report.duration_seconds).as_millis();
    assert!(ticks * 5 <= running_millis.cast_signed() + 10, "a pause has no ticks: {ticks} in {report:?}");
    let events: Vec<&SessionEvent> = manifest.events.iter().map(|event| &event.what).collect();
    let [SessionEvent::Mark { label }, SessionEvent::Pause { seconds: Some(seconds) }, last] = events[..]
    else {
        panic!("{events:?}")
    };
    assert!(label == "jump" && *seconds >= 0.25, "{events:?}");
    assert_eq!(*last, SessionEvent::Told { stage: "a".to_owned(), told });
}

#[test]
fn a_stop_in_a_pause_ends_the_session() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(registry());
    let watch = sessions.start(pipeline(COUNTER), &named(folder.path(), "s")).unwrap();
    wait_until("frames come", || frames(&watch) > 5);
    watch.pause();
    watch.stop();
    assert_eq!(watch.wait_for(PATIENCE).unwrap().unwrap().status, Status::Complete);
}

#[test]
fn names_of_sessions_are_names_of_folders_everywhere_and_two_starts_never_meet() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(registry());
    for name in ["", ".", "..", ".hidden", "a/b", "a b", "-x", "a\0b", "é", &"x".repeat(129)] {
        let refused = sessions.start(pipeline(COUNTER), &named(folder.path(), name));
        assert!(matches!(refused, Err(OpenError::Folder(_))), "{name:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let unnamed = || RunOptions {
        directory: Some(folder.path().to_owned()),
        name: "../käse 1".to_owned(),
        ..RunOptions::default()
    };
    std::thread::scope(|scope| {
        let start = || sessions.start(pipeline(COUNTER), &unnamed()).map(drop);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
    });
    assert_eq!(sessions.all().len(), 4);
    sessions.end();
    assert!(
        sessions.all().iter().all(|watch| watch.id().starts_with("kse1-")),
        "what a name can't have is left out"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    for folder in [&folder, &elsewhere] {
        sessions.start(pipeline(COUNTER), &named(folder.path(), "same")).unwrap();
    }
    assert_eq!(sessions.all().len(), 6, "a name is one of a directory");
    sessions.end();
    assert!(sessions.all().iter().all(|watch| watch.report().is_some()));
}
