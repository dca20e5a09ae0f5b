//! Reads values that the host passes to the module: numbers, strings, lists and options, and macros for records, enums and
//! variants.

use std::alloc::{Layout, dealloc};
use std::mem::MaybeUninit;

use super::WORD;

/// Rounds an offset up to a multiple of an alignment.
pub(super) const fn aligned(offset: usize, align: usize) -> usize {
    offset.next_multiple_of(align)
}

/// The largest of a list of sizes or alignments; 0 if the list is empty.
pub(super) const fn largest(mut list: &[usize]) -> usize {
    let mut largest = 0;
    while let [first, rest @ ..] = list {
        if *first > largest {
            largest = *first;
        }
        list = rest;
    }
    largest
}

/// A value that the host passes to the module.
///
/// # Safety
///
/// `SIZE` and `ALIGN` are those of the canonical ABI, and [`lift`](Lift::lift) initializes the whole value.
pub(super) unsafe trait Lift: Sized {
    const SIZE: usize;
    const ALIGN: usize;

    /// Reads a value and writes it to its final place.
    ///
    /// # Safety
    ///
    /// `from` is a value that the host has written and that was not read before. `to` is valid for writes.
    unsafe fn lift(from: *const u8, to: *mut Self);

    /// Reads a list and frees its memory or takes ownership of it.
    ///
    /// # Safety
    ///
    /// `from` is a list of `len` values that the host has written and that was not read before.
    unsafe fn lift_list(from: *mut u8, len: usize) -> Vec<Self> {
        let mut list = Vec::<Self>::with_capacity(len);
        // SAFETY: `from` has `len` values and `list` has room for `len` values; the host has allocated the list in one piece.
        unsafe {
            for index in 0..len {
                Self::lift(from.add(index * Self::SIZE), list.as_mut_ptr().add(index));
            }
            list.set_len(len);
            if len > 0 {
                dealloc(from, Layout::from_size_align_unchecked(len * Self::SIZE, Self::ALIGN));
            }
        }
        list
    }
}

/// Reads a value.
///
/// # Safety
///
/// The same as [`Lift::lift`].
pub(super) unsafe fn lifted<T: Lift>(from: *const u8) -> T {
    let mut value = MaybeUninit::uninit();
    // SAFETY: the caller's promise; `lift` initializes the value.
    unsafe {
        T::lift(from, value.as_mut_ptr());
        value.assume_init()
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        // SAFETY: numbers have the same representation as in Rust.
        unsafe impl Lift for $type {
            const SIZE: usize = size_of::<$type>();
            const ALIGN: usize = size_of::<$type>();

            #[inline]
            unsafe fn lift(from: *const u8, to: *mut $type) {
                // SAFETY: the caller's promise.
                unsafe { to.write(from.cast::<$type>().read()) }
            }
        }
    )*};
}

numbers!(u16, u32, u64, i16);

// SAFETY: bytes have the same representation as in Rust.
unsafe impl Lift for u8 {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.write(from.read()) }
    }

    unsafe fn lift_list(from: *mut u8, len: usize) -> Vec<u8> {
        // SAFETY: the host has allocated `len` bytes with an alignment of 1 for the module.
        unsafe { Vec::from_raw_parts(from, len, len) }
    }
}

// SAFETY: a boolean is a byte.
unsafe impl Lift for bool {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut bool) {
        // SAFETY: the caller's promise.
        unsafe { to.write(from.read() != 0) }
    }
}

// SAFETY: a string is the list of its bytes.
unsafe impl Lift for String {
    const SIZE: usize = 2 * WORD;
    const ALIGN: usize = WORD;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut String) {
        // SAFETY: the host passes only valid UTF-8; the rest is the caller's promise.
        unsafe { to.write(String::from_utf8_unchecked(lifted(from))) }
    }
}

// SAFETY: a list is a pointer and a length.
unsafe impl<T: Lift> Lift for Vec<T> {
    const SIZE: usize = 2 * WORD;
    const ALIGN: usize = WORD;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut Vec<T>) {
        // SAFETY: the caller's promise.
        unsafe {
            let list = from.cast::<*mut u8>().read();
            let len = from.add(WORD).cast::<usize>().read();
            to.write(T::lift_list(list, len));
        }
    }
}

// SAFETY: a byte that is 0 or 1, and the value.
unsafe impl<T: Lift> Lift for Option<T> {
    const SIZE: usize = T::ALIGN + aligned(T::SIZE, T::ALIGN);
    const ALIGN: usize = T::ALIGN;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut Option<T>) {
        // SAFETY: the caller's promise; the byte and its padding have the size of the alignment.
        unsafe { to.write((from.read() != 0).then(|| lifted(from.add(T::ALIGN)))) }
    }
}

// SAFETY: two strings, one after the other.
unsafe impl Lift for (String, String) {
    const SIZE: usize = 4 * WORD;
    const ALIGN: usize = WORD;

    unsafe fn lift(from: *const u8, to: *mut (String, String)) {
        // SAFETY: the caller's promise.
        unsafe { to.write((lifted(from), lifted(from.add(2 * WORD)))) }
    }
}

macro_rules! enums {
    ($($type:ident)*) => {$(
        // SAFETY: an enum of up to 256 cases is a byte.
        unsafe impl Lift for $type {
            const SIZE: usize = 1;
            const ALIGN: usize = 1;

            #[inline]
            unsafe fn lift(from: *const u8, to: *mut $type) {
                // SAFETY: the caller's promise; the host passes only numbers of cases.
                unsafe { to.write($type::_lift(from.read())) }
            }
        }
    )*};
}

macro_rules! records {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            // SAFETY: the fields follow each other in the order of the contract, each aligned.
            unsafe impl Lift for $name {
                const ALIGN: usize = largest(&[1, $(<$type as Lift>::ALIGN),*]);
                const SIZE: usize = {
                    let mut end = 0;
                    $(end = aligned(end, <$type as Lift>::ALIGN) + <$type as Lift>::SIZE;)*
                    aligned(end, Self::ALIGN)
                };

                #[inline(never)]
                unsafe fn lift(from: *const u8, to: *mut $name) {
                    let end = 0;
                    $(
                        let start = aligned(end, <$type as Lift>::ALIGN);
                        // SAFETY: the caller's promise, which holds for each field.
                        unsafe { <$type as Lift>::lift(from.add(start), &raw mut (*to).$field) };
                        let end = start + <$type as Lift>::SIZE;
                    )*
                    // A compile error if a field is missing.
                    let _ = (end, |$name { $($field: _),* }: $name| ());
                }
            }
        )*

        #[cfg(test)]
        pub(super) const RECORDS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($field)),*])),*];
    };
}

macro_rules! variants {
    ($($name:ident { $($case:ident($type:ty),)* })*) => {
        $(
            // SAFETY: a byte with the number of the case, and its value at the largest alignment of all cases.
            unsafe impl Lift for $name {
                const ALIGN: usize = largest(&[1, $(<$type as Lift>::ALIGN),*]);
                const SIZE: usize = aligned(Self::ALIGN + largest(&[$(<$type as Lift>::SIZE),*]), Self::ALIGN);

                #[inline(never)]
                unsafe fn lift(from: *const u8, to: *mut $name) {
                    // SAFETY: the caller's promise.
                    let (number, value) = unsafe { (from.read(), from.add(Self::ALIGN)) };
                    let case = 0;
                    $(
                        if number == case {
                            // SAFETY: the caller's promise; `number` says that the host has written this case.
                            return unsafe { to.write($name::$case(lifted(value))) };
                        }
                        let case = case + 1;
                    )*
                    // A compile error if a case is missing.
                    let _ = |value: $name| match value {
                        $($name::$case(_) => (),)*
                    };
                    panic!("the host named case {number} of {case}");
                }
            }
        )*

        #[cfg(test)]
        pub(super) const VARIANTS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($case)),*])),*];
    };
}

pub(super) use {enums, records, variants};
