//! A full disk refuses writes for as long as it is full, answers questions all the while, and comes back by itself.
//!
//! Twice: with the floor under the free room, which refuses before the disk is full; and without it, so that the disk is
//! filled to the last byte and log and catalogue meet that themselves.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use weir::ingest::wire::proto::prometheus::WriteRequest;

use crate::door::{descriptions, now, push, request, series, value};
use crate::world::{Answer, Api, Stack, eventually};

/// Room for RocksDB's own log (which takes its space in advance), the ballast and some log.
const DISK: &str = "size=96m";
const BALLAST_BYTES: usize = 40 << 20;
/// Series and samples of each in a request: its values do not compress, so it takes over 150 kB of log.
const SERIES: usize = 200;
const SAMPLES: usize = 100;
/// More requests than fit on the disk.
const REQUESTS_MAX: usize = 1_000;
/// How soon writes must succeed once there is room.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn below_the_floor_writes_are_refused_before_the_disk_is_full() {
    let stack = Stack::new(PathBuf::new(), "1s");
    let Some(disk) = SmallDisk::mount(stack.folder.path().join("weir")) else { return };
    let api = stack.api();
    let weir = stack.start_weir(&[]).await;
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_BYTES]).expect("the disk has room for the ballast");
    let started = now(&api).await.floor() - 86_400.0;
    let send = async |number| push(&api, &load(started, number)).await;
    let (mut acknowledged, refused) = until_refused("writes are never refused", send).await;
    assert_eq!((refused.code, refused.retry_after.is_some()), (503, true), "{refused:?}");
    assert!(refused.text.contains("bytes are free on the disk"), "before it is full: {refused:?}");
    everything_is_there(&api, started, acknowledged).await;
    let ready = api.send("GET", "/-/ready?verbose", &[], vec![]).await;
    assert!(ready.code == 200 && ready.text.contains("storage: takes no writes: "), "{ready:?}");
    let metrics = api.send("GET", "/metrics", &[], vec![]).await.text;
    assert!(metrics.contains("\nweir_tsdb_read_only 1\n"), "{metrics}");
    assert_eq!(api.data("/api/v1/status/storage", &[]).await["readOnly"], true);

    std::fs::remove_file(ballast).expect("the ballast is there");
    eventually("writes succeed again", COMES_BACK_WITHIN, async || {
        (push(&api, &load(started, acknowledged)).await.code == 204).then_some(())
    })
    .await;
    acknowledged += 1;
    everything_is_there(&api, started, acknowledged).await;
    weir.kill();
    let _weir = stack.start_weir(&[]).await;
    everything_is_there(&api, started, acknowledged).await;
    let log = stack.log_tail("weir.log");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_comes_back_by_itself() {
    let stack = Stack::new(PathBuf::new(), "1s");
    let Some(disk) = SmallDisk::mount(stack.folder.path().join("weir")) else { return };
    let api = stack.api();
    let config = stack.folder.path().join("no-floor.yml");
    std::fs::write(&config, "storage: {free_min: 0, reserve: 0}").expect("write a configuration");
    let config = format!("--config={}", config.display());
    let weir = stack.start_weir(&[&config]).await;
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![1; BALLAST_BYTES]).expect("the disk has room for the ballast");
    let started = now(&api).await.floor() - 86_400.0;

    let send = async |number| push(&api, &load(started, number)).await;
    let (mut acknowledged, refused) = until_refused("the disk never gets full", send).await;
    assert_eq!(refused.code, 503, "{refused:?}");
    assert!(refused.retry_after.is_some() && refused.text.contains("No space left"), "{refused:?}");
    everything_is_there(&api, started, acknowledged).await;

    // RocksDB meets the full disk too, and stops writing on its own account.
    let send = async |number| push(&api, &described(number)).await;
    let (told, refused) = until_refused("the catalogue never meets the full disk", send).await;
    assert_eq!((refused.code, refused.retry_after.is_some()), (503, true), "{refused:?}");
    everything_is_there(&api, started, acknowledged).await;
    assert!(api.is_ok("/-/healthy").await && api.is_ok("/-/ready").await, "no crash");

    std::fs::remove_file(ballast).expect("the ballast is there");
    eventually("writes succeed again", COMES_BACK_WITHIN, async || {
        (push(&api, &load(started, acknowledged)).await.code == 204).then_some(())
    })
    .await;
    acknowledged += 1;
    eventually("the catalogue takes writes again", COMES_BACK_WITHIN, async || {
        (push(&api, &described(told)).await.code == 204).then_some(())
    })
    .await;
    everything_is_there(&api, started, acknowledged).await;
    weir.kill();
    let _weir = stack.start_weir(&[&config]).await;
    everything_is_there(&api, started, acknowledged).await;
    let kept = api.data("/api/v1/metadata", &[("metric", &format!("described_{told}_0"))]).await;
    assert_eq!(kept.as_object().map(serde_json::Map::len), Some(1), "what was said when there was room again is kept");
}

/// Sends request after request; tells how many were acknowledged, and what the one after them was answered. `never` says
/// what is wrong where all of them are taken.
async fn until_refused(never: &str, send: impl AsyncFn(usize) -> Answer) -> (usize, Answer) {
    for acknowledged in 0..REQUESTS_MAX {
        let answer = send(acknowledged).await;
        if answer.code != 204 {
            return (acknowledged, answer);
        }
    }
    panic!("{never}");
}

/// The request of this number: its own stretch of time of all series.
fn load(started: f64, number: usize) -> WriteRequest {
    let names: Vec<String> = (0..SERIES).map(|series| series.to_string()).collect();
    let samples = |name: usize| -> Vec<(f64, f64)> {
        let place = |sample: usize| number * SAMPLES + sample;
        (0..SAMPLES)
            .map(|sample| (started + place(sample) as f64, ((place(sample) * SERIES + name) as f64).sin()))
            .collect()
    };
    let series_of = |(name, text): (usize, &String)| series(&[("__name__", "load"), ("series", text)], &samples(name));
    request(names.iter().enumerate().map(series_of).collect())
}

/// A megabyte of metadata.
fn described(number: usize) -> WriteRequest {
    descriptions((0..1_000).map(|metric| (format!("described_{number}_{metric}"), format!("{metric:1000}"))))
}

async fn everything_is_there(api: &Api, started: f64, acknowledged: usize) {
    let count = api.query("sum(count_over_time(load[2d]))", Some(started + 86_400.0)).await;
    assert_eq!(value(&count), Some((acknowledged * SERIES * SAMPLES) as f64), "all that was acknowledged, and no more");
}

/// A disk of its own in memory; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, said loudly, where mounting is not permitted.
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        std::fs::create_dir_all(&at).expect("make a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(SmallDisk(at));
        }
        eprintln!("SKIPPED: a small disk cannot be mounted at {}; root may", Path::display(&at));
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the program that had files open on it was killed a moment ago.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
