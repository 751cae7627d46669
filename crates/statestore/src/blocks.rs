//! A list that grows without moving what it holds: in blocks. Doubling one array would touch as much memory again, and
//! hold old and new at once.

/// Elements of a block.
const BLOCK: usize = 4096;

/// Elements by number.
#[derive(Debug)]
pub struct Blocks<T> {
    /// All full but the last.
    blocks: Vec<Vec<T>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Blocks<T> {
        Blocks { blocks: vec![] }
    }
}

impl<T> Blocks<T> {
    /// Elements in it.
    pub fn len(&self) -> usize {
        self.blocks.last().map_or(0, |last| (self.blocks.len() - 1) * BLOCK + last.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The element of that number.
    #[inline]
    pub fn get(&self, at: u32) -> Option<&T> {
        self.blocks.get(at as usize / BLOCK)?.get(at as usize % BLOCK)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.blocks.get_mut(at as usize / BLOCK)?.get_mut(at as usize % BLOCK)
    }

    /// Add an element behind the others.
    pub fn push(&mut self, element: T) {
        match self.blocks.last_mut().filter(|last| last.len() < BLOCK) {
            Some(last) => last.push(element),
            None => {
                // The first one grows: most lists are short.
                let mut block = Vec::with_capacity(if self.blocks.is_empty() { 1 } else { BLOCK });
                block.push(element);
                self.blocks.push(block);
            }
        }
    }

    /// All elements, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    /// The same in pieces of so many, and shorter ones.
    pub fn chunks(&self, size: usize) -> impl Iterator<Item = &[T]> {
        self.blocks.iter().flat_map(move |block| block.chunks(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_list() {
        let mut list = Blocks::default();
        assert!(list.is_empty() && list.get(0).is_none());
        let all: Vec<usize> = (0..BLOCK * 2 + 5).collect();
        for element in &all {
            assert_eq!(list.len(), *element);
            list.push(*element);
        }
        assert!(list.iter().eq(&all));
        assert_eq!(list.chunks(100).flatten().count(), all.len());
        for at in [0, BLOCK - 1, BLOCK, BLOCK * 2 + 4] {
            let number = u32::try_from(at).expect("is small");
            assert_eq!((list.get(number).copied(), list.get_mut(number).copied()), (Some(at), Some(at)));
        }
        assert_eq!(list.get(u32::try_from(all.len()).expect("is small")), None);
    }
}
