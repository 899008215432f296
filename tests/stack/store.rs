//! A snapshot of a running Weir, and `weir store` on data that no Weir has open.

use std::path::Path;
use std::process::Command;

use crate::door::{now, push, request, series, value};
use crate::world::Stack;

/// Runs `weir store`; gives whether it succeeded, and what it said.
fn weir_store(arguments: &[&str], data: &Path) -> (bool, String) {
    let (data, mut command) = (format!("--data={}", data.display()), Command::new(env!("CARGO_BIN_EXE_weir")));
    let ran = command.arg("store").args(arguments).arg(data).output().expect("weir runs");
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn a_snapshot_is_a_store_and_a_stopped_store_can_be_looked_at() {
    let stack = Stack::new("".into(), "1s");
    let api = stack.api();
    let config = stack.folder.path().join("admin.yml");
    std::fs::write(&config, "http: {admin: true}").expect("write a configuration");
    let weir = stack.start_weir(&[&format!("--config={}", config.display())]).await;
    let now = now(&api).await.floor();
    let names: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    let of = |name: &String| series(&[("__name__", "kept"), ("i", name)], &[(now - 15.0, 0.1), (now, 0.2)]);
    assert_eq!(push(&api, &request(names.iter().map(of).collect())).await.code, 204);
    let taken = api.try_post("/api/v1/admin/tsdb/snapshot").await.expect("taken");
    let taken: serde_json::Value = serde_json::from_str(&taken).expect("JSON");
    let name = taken["data"]["name"].as_str().expect("a name").to_owned();
    let late = request(vec![series(&[("__name__", "kept"), ("i", "late")], &[(now, 3.0)])]);
    assert_eq!(push(&api, &late).await.code, 204);

    let data = stack.folder.path().join("weir");
    let (ok, said) = weir_store(&["stats"], &data);
    assert!(!ok && said.contains("is in use by another process"), "{said}");
    weir.kill();

    let (ok, said) = weir_store(&["stats"], &data);
    assert!(ok && said.contains("series   50\n") && said.contains("samples  100\n"), "{said}");
    let (ok, said) = weir_store(&["verify"], &data);
    assert!(ok && said.starts_with("0 damaged places"), "{said}");
    let (ok, said) = weir_store(&["dump", "kept{i=\"7\"}"], &data);
    let at = |seconds: f64| (seconds * 1000.0) as i64;
    let line = |at: i64, value: f64| format!("kept{{i=\"7\"}} {value} {at}\n");
    assert_eq!((ok, said), (true, line(at(now - 15.0), 0.1) + &line(at(now), 0.2)));
    let (ok, said) = weir_store(&["snapshots"], &data);
    assert_eq!((ok, said.as_str()), (true, format!("{name}\n").as_str()));
    let snapshot = data.join("snapshots").join(&name);
    let (ok, said) = weir_store(&["verify", "--json"], &snapshot);
    let json: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((ok, &json["samples"], &json["damages"]), (true, &100.into(), &serde_json::json!([])));
    let (ok, said) = weir_store(&["dump", "--what=labels", "kept"], &snapshot);
    assert_eq!((ok, said.lines().count()), (true, 50), "what came later is not in it");

    // A part that rots: named by file and place. A catalogue that is lost: made again.
    let parts = data.join("parts");
    let part = std::fs::read_dir(&parts).expect("parts").next().expect("one").expect("readable").path();
    let good = std::fs::read(&part).expect("readable");
    std::fs::remove_file(&part).expect("the snapshot has its own name for it");
    let mut bad = good.clone();
    bad[18] ^= 1;
    std::fs::write(&part, &bad).expect("writable");
    let (ok, said) = weir_store(&["verify"], &data);
    let found = format!("{}: a wrong checksum, which costs kept{{i=\"0\"}} and 49 more, at byte 16", part.display());
    assert!(!ok && said.contains(&found), "{said}");
    std::fs::write(&part, &good).expect("writable");
    std::fs::remove_dir_all(data.join("catalogue")).expect("lost");
    let (ok, said) = weir_store(&["rebuild-catalogue"], &data);
    assert!(ok && said.contains("names 1 parts and 51 series"), "{said}");
    let (ok, said) = weir_store(&["verify"], &data);
    assert!(ok, "{said}");

    let _weir = stack.start_weir(&[]).await;
    assert_eq!(value(&api.query("count(kept)", Some(now)).await), Some(51.0));
    let (ok, said) = weir_store(&["snapshots", &format!("--remove={name}")], &data);
    assert!(ok && !snapshot.exists(), "{said}");
}
