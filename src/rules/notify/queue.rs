//! The messages that wait for one Alertmanager.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{AlertKey, Message};
use crate::rules::metrics::NotifierMetrics;

/// A bounded queue with one place an alert: newer news takes the place of older.
pub struct Queue {
    waiting: Mutex<Waiting>,
    max: usize,
    filled: Notify,
    metrics: NotifierMetrics,
}

#[derive(Default)]
struct Waiting {
    /// Oldest first. Each key stands once, and is in `messages`.
    order: VecDeque<Arc<AlertKey>>,
    messages: HashMap<Arc<AlertKey>, Message>,
}

impl Queue {
    /// For at most `max` messages.
    pub fn new(max: usize, metrics: NotifierMetrics) -> Self {
        Queue { waiting: Mutex::default(), max: max.max(1), filled: Notify::new(), metrics }
    }

    /// Adds messages; where there is no room the oldest are dropped.
    pub fn push(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for message in messages {
            if waiting.messages.insert(message.key.clone(), message.clone()).is_none() {
                waiting.order.push_back(message.key.clone());
            }
        }
        self.settle(&mut waiting);
        drop(waiting);
        self.filled.notify_one();
    }

    /// Takes the oldest message, and after it at most `max` in all that go with the same headers.
    pub fn take(&self, max: usize) -> Vec<Message> {
        let mut waiting = self.waiting.lock();
        let Waiting { order, messages } = &mut *waiting;
        let (mut taken, mut passed) = (Vec::<Message>::new(), Vec::new());
        while taken.len() < max
            && let Some(key) = order.pop_front()
        {
            let message = messages.get(&key).expect("each key in order has its message");
            if taken.first().is_none_or(|first| first.headers == message.headers) {
                taken.extend(messages.remove(&key));
            } else {
                passed.push(key);
            }
        }
        passed.into_iter().rev().for_each(|key| order.push_front(key));
        self.settle(&mut waiting);
        taken
    }

    /// Puts back what could not be delivered, in front, unless newer news has come.
    pub fn put_back(&self, messages: Vec<Message>) {
        let mut waiting = self.waiting.lock();
        for message in messages.into_iter().rev() {
            if !waiting.messages.contains_key(&message.key) {
                waiting.order.push_front(message.key.clone());
                waiting.messages.insert(message.key.clone(), message);
            }
        }
        self.settle(&mut waiting);
    }

    /// Waits until something was added. May return early.
    pub async fn filled(&self) {
        self.filled.notified().await;
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.waiting.lock().order.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many were dropped for want of room.
    pub fn dropped(&self) -> u64 {
        self.metrics.dropped.get()
    }

    /// Drops what is too much, and says how many are left.
    fn settle(&self, waiting: &mut Waiting) {
        while waiting.order.len() > self.max {
            let oldest = waiting.order.pop_front().expect("longer than max");
            waiting.messages.remove(&oldest);
            self.metrics.dropped.inc();
        }
        self.metrics.waiting.set(i64::try_from(waiting.order.len()).unwrap_or(i64::MAX));
    }
}
