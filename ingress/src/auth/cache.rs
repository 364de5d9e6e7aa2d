//! The verified tokens. With them a request costs a hash instead of an RSA operation.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use stockline_core::domain::{ClientId, Timestamp};

use super::keyset::VerifyingKey;
use super::principal::{Principal, TokenHash};

/// Tokens that are cached at once. Beyond it the expired ones are dropped first, then the oldest.
pub const CACHE_TOKENS: usize = 10_000;

/// A token with a valid signature and valid claims.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) principal: Principal,
    pub(super) jti: Option<Box<str>>,
    /// The registered client whose settings narrow the rights; `None` for a configured client.
    pub(super) client: Option<ClientId>,
    /// The token is refused after this time (its `exp` with the leeway).
    pub(super) usable_until: Timestamp,
    pub(super) key: Arc<VerifyingKey>,
}

#[derive(Debug)]
pub(super) struct TokenCache {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    tokens: HashMap<TokenHash, Arc<Verified>>,
    /// The tokens in order of arrival; it may also hold some that were dropped.
    order: VecDeque<TokenHash>,
    /// No cached token expires before this time.
    first_expiry: Timestamp,
}

impl TokenCache {
    pub(super) fn new(most: usize) -> Self {
        let inner =
            Inner { tokens: HashMap::new(), order: VecDeque::new(), first_expiry: Timestamp::from_millis(i64::MAX) };
        Self { most, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Every change below leaves the maps usable, even if a thread panics elsewhere.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a cached token that has not expired.
    pub(super) fn get(&self, token: &TokenHash, now: Timestamp) -> Option<Arc<Verified>> {
        self.lock().tokens.get(token).filter(|verified| now <= verified.usable_until).cloned()
    }

    pub(super) fn put(&self, token: TokenHash, verified: Arc<Verified>, now: Timestamp) {
        let mut inner = self.lock();
        inner.make_room(self.most, now);
        inner.first_expiry = inner.first_expiry.min(verified.usable_until);
        if inner.tokens.insert(token, verified).is_none() {
            inner.order.push_back(token);
        }
    }

    /// Drops the tokens whose key is no longer trusted.
    pub(super) fn retain_keys(&self, trusted: impl Fn(&Arc<VerifyingKey>) -> bool) {
        self.lock().retain(|verified| trusted(&verified.key));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().tokens.len()
    }
}

impl Inner {
    fn make_room(&mut self, most: usize, now: Timestamp) {
        if self.tokens.len() >= most && self.first_expiry < now {
            self.retain(|verified| now <= verified.usable_until);
            let expiries = self.tokens.values().map(|verified| verified.usable_until);
            self.first_expiry = expiries.min().unwrap_or(Timestamp::from_millis(i64::MAX));
        }
        while self.tokens.len() >= most {
            let Some(oldest) = self.order.pop_front() else { break };
            self.tokens.remove(&oldest);
        }
    }

    fn retain(&mut self, keep: impl Fn(&Verified) -> bool) {
        self.tokens.retain(|_, verified| keep(verified));
        let tokens = &self.tokens;
        self.order.retain(|token| tokens.contains_key(token));
    }
}

#[cfg(test)]
mod tests {
    use super::super::rights::Rights;
    use super::*;

    fn verified(until_ms: i64) -> Arc<Verified> {
        let token_hash = TokenHash([0; 32]);
        let expires_at = Timestamp::from_millis(until_ms);
        Arc::new(Verified {
            principal: Principal { submitted_by: "a".into(), rights: Rights::STAFF, expires_at, token_hash },
            jti: None,
            client: None,
            usable_until: expires_at,
            key: Arc::new(VerifyingKey::of_components("k", vec![1; 256], vec![1, 0, 1])),
        })
    }

    #[test]
    fn a_full_cache_drops_the_expired_first_and_then_the_oldest() {
        let (cache, now) = (TokenCache::new(3), Timestamp::from_millis);
        let token = |n: u8| TokenHash([n; 32]);
        cache.put(token(1), verified(900), now(0));
        cache.put(token(2), verified(100), now(0));
        cache.put(token(3), verified(900), now(0));
        assert!(cache.get(&token(2), now(100)).is_some());
        assert!(cache.get(&token(2), now(101)).is_none(), "an expired token is not served");

        cache.put(token(4), verified(900), now(101));
        assert!(cache.get(&token(1), now(101)).is_some(), "the expired one made room");
        cache.put(token(5), verified(900), now(101));
        assert!(cache.get(&token(1), now(101)).is_none(), "nothing had expired, so the oldest went");
        assert_eq!(cache.len(), 3);
        for n in 3..=5 {
            assert!(cache.get(&token(n), now(101)).is_some());
        }
        cache.retain_keys(|_| false);
        assert_eq!(cache.len(), 0);
    }
}
