//! Merges ordered sources into one list. Each source is read piece by piece, only as far as the list needs.

use std::future::Future;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::call::CALLS_AT_ONCE;
use stockline_core::ports::StoreError;

/// An ordered list that is read piece by piece, the greatest rank first.
pub(super) trait Source: Send {
    /// The place of an entry in the list.
    type Rank<'a>: Ord
    where
        Self: 'a;
    /// The entries of the list.
    type Entry: Send;

    /// Returns the rank of the next buffered entry.
    fn head(&self) -> Option<Self::Rank<'_>>;

    /// Returns whether the buffer is empty though the source may have more.
    fn is_dry(&self) -> bool;

    /// Reads the next piece, which may be empty.
    fn fill(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes the next buffered entry.
    fn take(&mut self) -> Option<Self::Entry>;
}

/// The sources of one list. Among equal ranks, the earlier source comes first.
#[derive(Debug)]
pub(super) struct Merge<S>(Vec<S>);

impl<S: Source> Merge<S> {
    pub(super) const fn new(sources: Vec<S>) -> Self {
        Self(sources)
    }

    /// Returns the source with the next entry, without taking it; `None` at the end of the list.
    pub(super) async fn peek(&mut self) -> Result<Option<&mut S>, StoreError> {
        while self.0.iter().any(Source::is_dry) {
            let fills: Vec<_> = self.0.iter_mut().filter(|source| source.is_dry()).map(Source::fill).collect();
            stream::iter(fills).buffer_unordered(CALLS_AT_ONCE).try_collect::<()>().await?;
        }
        let mut first: Option<(S::Rank<'_>, usize)> = None;
        for (at, source) in self.0.iter().enumerate() {
            if let Some(rank) = source.head()
                && first.as_ref().is_none_or(|(best, _)| rank > *best)
            {
                first = Some((rank, at));
            }
        }
        let first = first.map(|(_, at)| at);
        Ok(first.and_then(|at| self.0.get_mut(at)))
    }

    /// Takes the next entry. Returns `None` at the end of the list.
    pub(super) async fn next(&mut self) -> Result<Option<S::Entry>, StoreError> {
        Ok(self.peek().await?.and_then(Source::take))
    }

    /// Takes `count` entries, or fewer at the end of the list.
    pub(super) async fn take(&mut self, count: usize) -> Result<Vec<S::Entry>, StoreError> {
        let mut taken = Vec::new();
        while taken.len() < count {
            match self.next().await? {
                Some(entry) => taken.push(entry),
                None => break,
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::VecDeque;

    use super::*;

    /// Pieces of numbers, some of them empty, with the number of pieces read.
    #[derive(Debug)]
    struct Pieces {
        in_hand: VecDeque<u32>,
        to_come: VecDeque<Vec<u32>>,
        read: usize,
    }

    impl Pieces {
        fn new(pieces: &[&[u32]]) -> Self {
            let to_come = pieces.iter().map(|piece| piece.to_vec()).collect();
            Self { in_hand: VecDeque::new(), to_come, read: 0 }
        }
    }

    impl Source for Pieces {
        type Rank<'a> = Reverse<u32>;
        type Entry = u32;

        fn head(&self) -> Option<Reverse<u32>> {
            self.in_hand.front().copied().map(Reverse)
        }

        fn is_dry(&self) -> bool {
            self.in_hand.is_empty() && !self.to_come.is_empty()
        }

        async fn fill(&mut self) -> Result<(), StoreError> {
            self.read += 1;
            match self.to_come.pop_front() {
                Some(piece) if piece == [u32::MAX] => Err(StoreError::Unavailable("throttled".into())),
                piece => {
                    self.in_hand.extend(piece.unwrap_or_default());
                    Ok(())
                }
            }
        }

        fn take(&mut self) -> Option<u32> {
            self.in_hand.pop_front()
        }
    }

    #[tokio::test]
    async fn sources_come_out_in_one_order_whatever_their_pieces() {
        let sources = [
            Pieces::new(&[&[1, 9], &[], &[], &[10, 40]]),
            Pieces::new(&[]),
            Pieces::new(&[&[], &[2], &[3], &[4, 5, 6]]),
            Pieces::new(&[&[], &[]]),
            Pieces::new(&[&[7, 8, 39]]),
        ];
        let mut merge = Merge::new(sources.into());
        assert_eq!(merge.take(4).await.unwrap(), [1, 2, 3, 4]);
        assert_eq!(merge.take(100).await.unwrap(), [5, 6, 7, 8, 9, 10, 39, 40]);
        assert_eq!(merge.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn no_more_is_read_than_the_taken_entries_need() {
        let mut merge = Merge::new(vec![Pieces::new(&[&[1, 2, 3], &[4]]), Pieces::new(&[&[50], &[60]])]);
        assert_eq!(merge.take(3).await.unwrap(), [1, 2, 3]);
        assert_eq!(merge.0.iter().map(|source| source.read).collect::<Vec<_>>(), [1, 1]);
        assert_eq!(merge.next().await.unwrap(), Some(4));
        assert_eq!(merge.0.iter().map(|source| source.read).collect::<Vec<_>>(), [2, 1]);
    }

    #[tokio::test]
    async fn a_piece_that_can_not_be_read_fails_the_list() {
        let mut merge = Merge::new(vec![Pieces::new(&[&[1], &[u32::MAX]]), Pieces::new(&[&[2]])]);
        assert_eq!(merge.next().await.unwrap(), Some(1));
        assert!(merge.next().await.is_err());
    }
}
