//! A window on something ordered that lives in the store: its head is in memory, up to a cursor (PROTOCOL P4).
//!
//! Nothing may fall behind the cursor: what belongs before it is in the window at once. What belongs behind it and is in
//! memory all the same (it isn't committed yet, or somebody named it) *passes*: it joins when the window reaches it.

use std::collections::VecDeque;

/// How far a window reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach<P> {
    /// There is nothing but what is in memory.
    All,
    /// Up to this place, included; `None`: nothing was read yet.
    UpTo(Option<P>),
}

#[derive(Debug)]
pub(crate) struct Window<P> {
    inside: Line<P>,
    passing: Line<P>,
    reach: Reach<P>,
    reading: bool,
}

impl<P: Ord + Copy> Window<P> {
    pub fn new(reach: Reach<P>) -> Self {
        Self { inside: Line::default(), passing: Line::default(), reach, reading: false }
    }

    /// Puts something at its place. What must leave the window for it passes from now on and is returned.
    pub fn push(&mut self, place: P, size: usize) -> Vec<P> {
        if self.reaches(place) {
            self.inside.insert(place);
            return self.trim(size);
        }
        self.passing.insert(place);
        Vec::new()
    }

    /// Whether everything at this place is in memory.
    pub fn reaches(&self, place: P) -> bool {
        match self.reach {
            Reach::All => true,
            Reach::UpTo(cursor) => Some(place) <= cursor,
        }
    }

    /// A window of twice its size shrinks to its size: the cursor moves back.
    fn trim(&mut self, size: usize) -> Vec<P> {
        if self.inside.0.len() <= size.saturating_mul(2) {
            return Vec::new();
        }
        let out = self.inside.0.split_off(size);
        self.reach = Reach::UpTo(self.inside.0.back().copied());
        self.pass(out)
    }

    /// Forgets the whole window: it begins anew when somebody needs it.
    pub fn unload(&mut self) -> Vec<P> {
        self.reach = Reach::UpTo(None);
        let out = std::mem::take(&mut self.inside.0);
        self.pass(out)
    }

    fn pass(&mut self, out: VecDeque<P>) -> Vec<P> {
        // The last first: they come before all that passes, mostly.
        for place in out.iter().rev() {
            self.passing.insert(*place);
        }
        out.into()
    }

    /// Takes something out; false if it wasn't in memory.
    pub fn remove(&mut self, place: P) -> bool {
        self.inside.remove(place) || self.passing.remove(place)
    }

    pub fn contains(&self, place: P) -> bool {
        self.inside.contains(place)
    }

    pub fn first(&self) -> Option<P> {
        self.inside.0.front().copied()
    }

    /// Everything in memory before this place, passing or not.
    pub fn before(&self, place: P) -> impl Iterator<Item = &P> {
        self.inside.before(place).chain(self.passing.before(place))
    }

    /// Everything in memory, passing or not.
    pub fn places(&self) -> impl Iterator<Item = &P> {
        self.inside.0.iter().chain(&self.passing.0)
    }

    pub fn is_all(&self) -> bool {
        self.reach == Reach::All
    }

    /// Where to read on and how much, if the window runs low. Asks once; the answer goes to [`Window::answered`].
    pub fn want(&mut self, size: usize) -> Option<(Option<P>, usize)> {
        let Reach::UpTo(after) = self.reach else { return None };
        if self.reading || self.inside.0.len() >= size.div_ceil(2) {
            return None;
        }
        self.reading = true;
        Some((after, (size - self.inside.0.len()).max(1)))
    }

    /// An answer came. False: it is to a question that is no longer asked, because the cursor has moved.
    pub fn answered(&mut self, after: Option<P>) -> bool {
        self.reading = false;
        self.reach == Reach::UpTo(after)
    }

    /// The window reaches further: what passes there joins, and is returned.
    pub fn widen(&mut self, reach: Reach<P>) -> Vec<P> {
        self.reach = reach;
        let upto = self.passing.0.partition_point(|place| self.reaches(*place));
        let joins: Vec<P> = self.passing.0.drain(..upto).collect();
        for place in &joins {
            self.inside.insert(*place);
        }
        joins
    }
}

/// Places in order, each once. They come at the end and go at the front, mostly: that costs next to nothing.
#[derive(Debug)]
struct Line<P>(VecDeque<P>);

impl<P> Default for Line<P> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<P: Ord + Copy> Line<P> {
    fn insert(&mut self, place: P) {
        if self.0.back().is_none_or(|last| *last < place) {
            self.0.push_back(place);
        } else if self.0.front().is_some_and(|first| place < *first) {
            self.0.push_front(place);
        } else if let Err(at) = self.0.binary_search(&place) {
            self.0.insert(at, place);
        }
    }

    fn remove(&mut self, place: P) -> bool {
        match self.find(place) {
            Some(at) => self.0.remove(at).is_some(),
            None => false,
        }
    }

    fn contains(&self, place: P) -> bool {
        self.find(place).is_some()
    }

    fn find(&self, place: P) -> Option<usize> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        if place == *first {
            return Some(0);
        }
        if place < *first || *last < place { None } else { self.0.binary_search(&place).ok() }
    }

    fn before(&self, place: P) -> impl Iterator<Item = &P> {
        self.0.range(..self.0.partition_point(|other| *other < place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_before_the_cursor_is_inside_and_the_rest_passes() {
        let mut window = Window::new(Reach::UpTo(Some(10)));
        assert!(window.push(5, 3).is_empty() && window.push(11, 3).is_empty());
        assert!(window.contains(5) && !window.contains(11));
        window.widen(Reach::All);
        assert!(window.contains(11) && window.is_all());
    }

    #[test]
    fn a_full_window_moves_its_cursor_back_and_asks_again_when_low() {
        let mut window = Window::new(Reach::All);
        let out: Vec<i32> = (1..=7).flat_map(|place| window.push(place, 3)).collect();
        assert_eq!(out, [4, 5, 6, 7]);
        assert_eq!(window.want(3), None, "it is full enough");
        assert!(window.remove(1) && window.remove(2));
        assert_eq!(window.want(3), Some((Some(3), 2)));
        assert_eq!(window.want(3), None, "it has asked");
        assert!(window.answered(Some(3)));
    }

    #[test]
    fn an_answer_to_an_older_question_is_told_apart() {
        let mut window: Window<i32> = Window::new(Reach::UpTo(None));
        assert_eq!(window.want(3), Some((None, 3)));
        window.widen(Reach::UpTo(Some(9)));
        window.unload();
        window.widen(Reach::UpTo(Some(4)));
        assert!(!window.answered(None));
    }
}
