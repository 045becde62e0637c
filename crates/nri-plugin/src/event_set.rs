//! Sets of events, and their encoding as a subscription mask.

use std::fmt;
use std::ops::BitOr;

use crate::api::Event;

/// A set of events. On the wire bit *n* − 1 stands for event number *n*.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EventSet(u32);

impl EventSet {
    /// No event.
    pub const EMPTY: Self = Self(0);
    /// Every event this crate knows; runtimes are offered only those they know too.
    pub const ALL: Self = Self(0x3fff);

    /// The given events; [`Event::Unknown`] is ignored.
    pub const fn of(events: &[Event]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < events.len() {
            bits |= Self::bit(events[index]);
            index += 1;
        }
        Self(bits)
    }

    /// The set whose subscription mask is `mask`.
    pub const fn from_mask(mask: u32) -> Self {
        Self(mask)
    }

    /// The set as a subscription mask. The mask 0 means *all* events to a runtime, not none.
    pub const fn mask(self) -> u32 {
        self.0
    }

    /// This set and `event`.
    #[must_use]
    pub const fn with(self, event: Event) -> Self {
        Self(self.0 | Self::bit(event))
    }

    /// This set without `event`.
    #[must_use]
    pub const fn without(self, event: Event) -> Self {
        Self(self.0 & !Self::bit(event))
    }

    /// The events that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether `event` is in the set.
    pub const fn contains(self, event: Event) -> bool {
        self.0 & Self::bit(event) != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The events of the set, in the order of their numbers.
    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL
            .into_iter()
            .filter(move |event| self.contains(*event))
    }

    const fn bit(event: Event) -> u32 {
        match event as u32 {
            0 => 0,
            number => 1 << (number - 1),
        }
    }
}

impl From<Event> for EventSet {
    fn from(event: Event) -> Self {
        Self::EMPTY.with(event)
    }
}

impl FromIterator<Event> for EventSet {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        events.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl BitOr for EventSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for EventSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mask_bits_are_event_numbers_minus_one() {
        assert_eq!(EventSet::from(Event::RunPodSandbox).mask(), 0x1);
        assert_eq!(EventSet::from(Event::CreateContainer).mask(), 0x8);
        assert_eq!(
            EventSet::from(Event::ValidateContainerAdjustment).mask(),
            0x2000
        );
        assert_eq!(Event::ALL.into_iter().collect::<EventSet>(), EventSet::ALL);
        assert!(EventSet::of(&[Event::Unknown]).is_empty());
    }

    #[test]
    fn iterates_over_what_was_put_in() {
        let set = EventSet::of(&[Event::StopContainer, Event::CreateContainer]);
        let events: Vec<_> = set.iter().collect();
        assert_eq!(events, [Event::CreateContainer, Event::StopContainer]);
        assert_eq!(set.without(Event::StopContainer).iter().count(), 1);
    }
}
