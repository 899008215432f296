//! An alert's life: pending, firing, at the real Alertmanager, through a restart of Weir, resolved.

use std::time::Duration;

use serde_json::Value;

use crate::world::{Api, Stack, eventually, tools};

#[tokio::test]
async fn an_alert_survives_a_restart_and_resolves() {
    let Some(tools) = tools() else { return };
    let stack = Stack::new(tools, "1s");
    let api = stack.api();
    let alertmanager = Api::new(stack.alertmanager);
    let weir = stack.start_weir(&[]).await;
    let _alertmanager = stack.start_alertmanager();
    let _a = stack.start_replica(0, true);
    let _b = stack.start_replica(1, true);
    let node = stack.start_node_exporter();
    eventually("all targets are up", Duration::from_secs(60), async || {
        (api.query("up == 1", None).await.len() == 5).then_some(())
    })
    .await;

    node.kill();
    let pending =
        eventually("the alert is pending", Duration::from_secs(30), async || our_alert(&api, "pending").await).await;
    let active_at = pending["activeAt"].clone();
    eventually("the alert fires", Duration::from_secs(40), async || our_alert(&api, "firing").await).await;
    eventually("Alertmanager has it", Duration::from_secs(20), async || {
        alertmanager_has(&alertmanager).await.filter(|alert| alert["status"]["state"] == "active")
    })
    .await;
    assert_eq!(api.query("ALERTS{alertname=\"TargetDown\",alertstate=\"firing\",job=\"node\"}", None).await.len(), 1);

    let status = weir.terminate();
    assert!(status.success(), "weir ends cleanly on SIGTERM: {status}\n{}", stack.log_tail("weir.log"));
    let _weir = stack.start_weir(&[]).await;
    let again = eventually("it still fires", Duration::from_secs(10), async || our_alert(&api, "firing").await).await;
    assert_eq!(again["activeAt"], active_at, "a restart starts nothing over");

    let _node = stack.start_node_exporter();
    eventually("it is resolved in Weir", Duration::from_secs(30), async || {
        our_alert(&api, "firing").await.is_none().then_some(())
    })
    .await;
    eventually("it is resolved at Alertmanager", Duration::from_secs(30), async || {
        alertmanager_has(&alertmanager).await.is_none().then_some(())
    })
    .await;
}

/// The alert about node-exporter, if it is in this state.
async fn our_alert(api: &Api, state: &str) -> Option<Value> {
    let alerts = api.try_get("/api/v1/alerts", &[]).await?;
    alerts["data"]["alerts"]
        .as_array()?
        .iter()
        .find(|alert| {
            alert["state"] == state && alert["labels"]["alertname"] == "TargetDown" && alert["labels"]["job"] == "node"
        })
        .cloned()
}

/// The same alert as Alertmanager lists it while active.
async fn alertmanager_has(alertmanager: &Api) -> Option<Value> {
    let alerts = alertmanager.try_get("/api/v2/alerts", &[("active", "true")]).await?;
    alerts.as_array()?.iter().find(|alert| alert["labels"]["job"] == "node").cloned()
}
