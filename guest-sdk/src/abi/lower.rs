//! Writes outcomes, which the host reads.

use std::alloc::{Layout, alloc, handle_alloc_error};
use std::ptr;

use super::WORD;
use crate::request::{Body, Method, Outcome, Request};

/// A value that the host reads.
///
/// # Safety
///
/// `SIZE` and `ALIGN` are those of the canonical ABI, and [`lower`](Lower::lower) writes a value that the generated
/// `__post_return_handle` can free.
pub(super) unsafe trait Lower: Sized {
    const SIZE: usize;
    const ALIGN: usize;

    /// Writes a value.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of `SIZE` bytes.
    unsafe fn lower(self, to: *mut u8);
}

// SAFETY: the list of the bytes, in memory of exactly their size.
unsafe impl Lower for Vec<u8> {
    const SIZE: usize = 2 * WORD;
    const ALIGN: usize = WORD;

    unsafe fn lower(self, to: *mut u8) {
        let bytes = Box::leak(self.into_boxed_slice());
        // SAFETY: the caller's promise.
        unsafe { write_list(to, bytes.as_mut_ptr(), bytes.len()) }
    }
}

// SAFETY: a string is the list of its bytes.
unsafe impl Lower for String {
    const SIZE: usize = 2 * WORD;
    const ALIGN: usize = WORD;

    #[inline]
    unsafe fn lower(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { self.into_bytes().lower(to) }
    }
}

// SAFETY: a byte that is 0 or 1, and the value.
unsafe impl Lower for Option<String> {
    const SIZE: usize = 3 * WORD;
    const ALIGN: usize = WORD;

    unsafe fn lower(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            to.write(u8::from(self.is_some()));
            if let Some(value) = self {
                value.lower(to.add(WORD));
            }
        }
    }
}

// SAFETY: two strings, one after the other.
unsafe impl Lower for (String, String) {
    const SIZE: usize = 4 * WORD;
    const ALIGN: usize = WORD;

    unsafe fn lower(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            self.0.lower(to);
            self.1.lower(to.add(2 * WORD));
        }
    }
}

// SAFETY: a byte with the number of the case, and its value.
unsafe impl Lower for Body {
    const SIZE: usize = 3 * WORD;
    const ALIGN: usize = WORD;

    unsafe fn lower(self, to: *mut u8) {
        let (case, bytes) = match self {
            Body::Text(text) => (0, text.into_bytes()),
            Body::Bytes(bytes) => (1, bytes),
        };
        // SAFETY: the caller's promise.
        unsafe {
            to.write(case);
            bytes.lower(to.add(WORD));
        }
    }
}

// SAFETY: the fields follow each other in the order of the contract, each aligned.
unsafe impl Lower for Request {
    const SIZE: usize = 16 * WORD;
    const ALIGN: usize = WORD;

    #[inline(never)]
    unsafe fn lower(self, to: *mut u8) {
        let Request {
            method,
            url,
            headers,
            body,
            ordering_key,
            destination,
            options,
        } = self;
        let method = match method {
            Method::Get => 0,
            Method::Post => 1,
            Method::Put => 2,
            Method::Patch => 3,
            Method::Delete => 4,
        };
        // SAFETY: the caller's promise.
        unsafe {
            to.write(method);
            url.lower(to.add(WORD));
            lower_list(headers, to.add(3 * WORD));
            body.lower(to.add(5 * WORD));
            ordering_key.lower(to.add(8 * WORD));
            destination.lower(to.add(11 * WORD));
            lower_list(options, to.add(14 * WORD));
        }
    }
}

// SAFETY: a byte with the number of the case, and its value, if it has one.
unsafe impl Lower for Outcome {
    const SIZE: usize = 3 * WORD;
    const ALIGN: usize = WORD;

    #[inline]
    unsafe fn lower(self, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Outcome::Ignore => to.write(0),
                Outcome::Deliver(requests) => {
                    to.write(1);
                    lower_list(requests, to.add(WORD));
                }
                Outcome::Fail(text) => {
                    to.write(2);
                    text.lower(to.add(WORD));
                }
            }
        }
    }
}

/// Writes a list.
///
/// # Safety
///
/// `to` can be written.
pub(super) unsafe fn lower_list<T: Lower>(list: Vec<T>, to: *mut u8) {
    const {
        assert!(
            T::SIZE <= size_of::<T>(),
            "a value is not larger in the canonical ABI than in Rust"
        )
    };
    let len = list.len();
    let memory = if len == 0 {
        ptr::without_provenance_mut(T::ALIGN)
    } else {
        // SAFETY: the layout of the list itself is valid, and this one is not larger.
        let layout = unsafe { Layout::from_size_align_unchecked(len * T::SIZE, T::ALIGN) };
        // SAFETY: the size is not zero.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        memory
    };
    for (index, value) in list.into_iter().enumerate() {
        // SAFETY: there is room for `len` values.
        unsafe { value.lower(memory.add(index * T::SIZE)) };
    }
    // SAFETY: the caller's promise.
    unsafe { write_list(to, memory, len) }
}

/// # Safety
///
/// `to` can be written.
unsafe fn write_list(to: *mut u8, list: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        to.cast::<*mut u8>().write(list);
        to.add(WORD).cast::<usize>().write(len);
    }
}
