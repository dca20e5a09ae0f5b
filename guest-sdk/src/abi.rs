//! The border of a component where events come in and outcomes go out, by the canonical ABI of the component model.
//!
//! The generated bindings have code for this too, but all of it in one function: with every case of [`Detail`] in it, a
//! compiler makes 600 kB of machine code of that, which moves all fields of all cases for each event. That was half of
//! a module's time for an event, and most of the time that it took to compile a module. Here each type is read by a
//! function of its own, straight into the place where it stays. Everything else about the border remains the bindings'.
//!
//! A type knows its size and alignment and how it is read ([`Lift`]) or written ([`Lower`]). Records and variants are
//! listed as the contract has them: their offsets follow from the order, which a test compares with `wit/hook.wit`; that
//! no field or case is missing and each has its type is seen by the compiler.
//!
//! The third file with unsafe code: what it relies on is that the host obeys the canonical ABI, as wasmtime does.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr;

use crate::bindings::exports::hookhost::hook::handler::Guest;
use crate::event::{
    Access, Acknowledgement, Address, Authentication, Authorization, Certificate, Client, Connack, Connection,
    Delivery, DeliveryDrop, DeliveryLoss, Detail, Disconnection, DropReason, End, EndReason, Event, Message,
    MessageDrop, Node, Origin, OtherEvent, Properties, Property, Session, Subscription, Termination, Transport,
    Unsubscription,
};
use crate::request::{Body, Method, Outcome, Request};

/// Bytes of a pointer and of a length.
const WORD: usize = size_of::<usize>();

/// Names and values.
type Pairs = Vec<(String, String)>;

/// The next multiple of an alignment.
const fn aligned(offset: usize, align: usize) -> usize {
    offset.next_multiple_of(align)
}

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// What the host passes in.
///
/// # Safety
///
/// `SIZE` and `ALIGN` are those of the canonical ABI, and [`lift`](Lift::lift) leaves a whole value.
unsafe trait Lift: Sized {
    const SIZE: usize;
    const ALIGN: usize;

    /// Reads a value to where it stays.
    ///
    /// # Safety
    ///
    /// `from` is a value that the host has written and nobody has read; `to` can be written.
    unsafe fn lift(from: *const u8, to: *mut Self);

    /// Reads a list and takes its memory.
    ///
    /// # Safety
    ///
    /// `from` is a list of so many values that the host has written and nobody has read.
    unsafe fn lift_list(from: *mut u8, len: usize) -> Vec<Self> {
        let mut list = Vec::<Self>::with_capacity(len);
        // SAFETY: there are `len` values to be read and there is room for as many; the host has allocated them at once.
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

/// What the host reads.
///
/// # Safety
///
/// `SIZE` and `ALIGN` are those of the canonical ABI, and [`lower`](Lower::lower) writes a value that the generated
/// `__post_return_handle` can take back.
unsafe trait Lower: Sized {
    const SIZE: usize;
    const ALIGN: usize;

    /// Writes a value.
    ///
    /// # Safety
    ///
    /// `to` can be written.
    unsafe fn lower(self, to: *mut u8);
}

/// Reads a value.
///
/// # Safety
///
/// That of [`Lift::lift`].
unsafe fn lifted<T: Lift>(from: *const u8) -> T {
    let mut value = MaybeUninit::uninit();
    // SAFETY: the caller's promise; after it the value is whole.
    unsafe {
        T::lift(from, value.as_mut_ptr());
        value.assume_init()
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(
        // SAFETY: numbers lie as Rust has them.
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

// SAFETY: a byte is a byte, and bytes lie as Rust has them.
unsafe impl Lift for u8 {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { to.write(from.read()) }
    }

    unsafe fn lift_list(from: *mut u8, len: usize) -> Vec<u8> {
        // SAFETY: the host has allocated so many bytes with an alignment of 1, and gives them away.
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
        // SAFETY: the host passes no other strings than UTF-8; the rest is the caller's promise.
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

// SAFETY: a byte that tells whether there is a value, and the value.
unsafe impl<T: Lift> Lift for Option<T> {
    const SIZE: usize = T::ALIGN + aligned(T::SIZE, T::ALIGN);
    const ALIGN: usize = T::ALIGN;

    #[inline]
    unsafe fn lift(from: *const u8, to: *mut Option<T>) {
        // SAFETY: the caller's promise; one byte and padding are as long as the alignment.
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
                // SAFETY: the caller's promise; the host passes no other numbers than those of the cases.
                unsafe { to.write($type::_lift(from.read())) }
            }
        }
    )*};
}

enums!(Transport Access EndReason Origin DropReason);

macro_rules! records {
    ($($name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            // SAFETY: the fields one after the other, each aligned, in the order of the contract.
            unsafe impl Lift for $name {
                const ALIGN: usize = {
                    let mut align = 1;
                    $(align = larger(align, <$type as Lift>::ALIGN);)*
                    align
                };
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
                    // No field was forgotten.
                    let _ = (end, |$name { $($field: _),* }: $name| ());
                }
            }
        )*

        #[cfg(test)]
        const RECORDS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($field)),*])),*];
    };
}

records! {
    Address { ip: String, port: u16, }
    Node { name: String, id: u32, }
    Client {
        id: String,
        username: Option<String>,
        peer: Option<Address>,
        protocol_version: u8,
        node: Option<Node>,
        attributes: Option<Pairs>,
    }
    Properties { standard: Vec<Property>, user: Pairs, }
    Certificate { common_name: String, subject: String, }
    Connection {
        client: Client,
        listener: String,
        transport: Transport,
        local: Option<Address>,
        protocol_name: String,
        bridge: bool,
        keep_alive: u16,
        clean_start: bool,
        session_expiry: u32,
        receive_maximum: u16,
        mountpoint: Option<String>,
        certificate: Option<Certificate>,
        properties: Option<Properties>,
    }
    Connack {
        connection: Connection,
        code: u8,
        session_present: bool,
        connected_at: Option<u64>,
        properties: Option<Properties>,
    }
    Authentication { connection: Connection, code: u8, anonymous: bool, superuser: bool, source: String, }
    Authorization { client: Client, access: Access, topic: String, allowed: bool, source: String, }
    Subscription {
        client: Client,
        filter: String,
        group: Option<String>,
        qos: u8,
        no_local: bool,
        retain_as_published: bool,
        retain_handling: u8,
        id: Option<u32>,
        limit: Option<u32>,
        code: u8,
        is_new: bool,
        properties: Option<Properties>,
    }
    Unsubscription {
        client: Client,
        filter: String,
        group: Option<String>,
        qos: u8,
        code: u8,
        properties: Option<Properties>,
    }
    Session { client: Client, created_at: Option<u64>, }
    End { reason: EndReason, code: Option<u8>, text: Option<String>, properties: Option<Properties>, }
    Disconnection { connection: Connection, end: End, connected_at: Option<u64>, disconnected_at: u64, }
    Termination { session: Session, end: End, }
    Message {
        id: String,
        publisher: Client,
        origin: Origin,
        topic: String,
        payload: Vec<u8>,
        qos: u8,
        retain: bool,
        dup: bool,
        packet_id: Option<u16>,
        received_at: u64,
        properties: Option<Properties>,
    }
    Delivery {
        receiver: Client,
        message: Message,
        qos: u8,
        retain: bool,
        dup: bool,
        packet_id: Option<u16>,
        retained: bool,
        group: Option<String>,
        subscription_ids: Option<Vec<u32>>,
    }
    Acknowledgement { delivery: Delivery, code: u8, properties: Option<Properties>, }
    MessageDrop { message: Message, reason: DropReason, code: u8, text: Option<String>, }
    DeliveryDrop { delivery: Delivery, reason: DropReason, code: u8, text: Option<String>, }
    DeliveryLoss { receiver: Client, filter: String, group: Option<String>, count: u32, }
    OtherEvent { name: String, client: Option<Client>, data: String, }
    Event { id: String, at: u64, utc_offset: i16, detail: Detail, extras: Option<Pairs>, }
}

macro_rules! variants {
    ($($name:ident { $($case:ident($type:ty),)* })*) => {
        $(
            // SAFETY: a byte with the number of the case, and its value, which is aligned as any case needs it.
            unsafe impl Lift for $name {
                const ALIGN: usize = {
                    let mut align = 1;
                    $(align = larger(align, <$type as Lift>::ALIGN);)*
                    align
                };
                const SIZE: usize = {
                    let mut largest = 0;
                    $(largest = larger(largest, <$type as Lift>::SIZE);)*
                    aligned(Self::ALIGN + largest, Self::ALIGN)
                };

                #[inline(never)]
                unsafe fn lift(from: *const u8, to: *mut $name) {
                    // SAFETY: the caller's promise.
                    let (number, value) = unsafe { (from.read(), from.add(Self::ALIGN)) };
                    let case = 0;
                    $(
                        if number == case {
                            // SAFETY: the caller's promise; this is the case that the host has written.
                            return unsafe { to.write($name::$case(lifted(value))) };
                        }
                        let case = case + 1;
                    )*
                    // No case was forgotten.
                    let _ = |value: $name| match value {
                        $($name::$case(_) => (),)*
                    };
                    panic!("the host named case {number} of {case}");
                }
            }
        )*

        #[cfg(test)]
        const VARIANTS: &[(&str, &[&str])] = &[$((stringify!($name), &[$(stringify!($case)),*])),*];
    };
}

variants! {
    Property {
        PayloadFormatIndicator(u8),
        MessageExpiryInterval(u32),
        ContentType(String),
        ResponseTopic(String),
        CorrelationData(Vec<u8>),
        SubscriptionIdentifier(u32),
        SessionExpiryInterval(u32),
        AssignedClientIdentifier(String),
        ServerKeepAlive(u16),
        AuthenticationMethod(String),
        RequestProblemInformation(bool),
        WillDelayInterval(u32),
        RequestResponseInformation(bool),
        ResponseInformation(String),
        ServerReference(String),
        ReasonString(String),
        ReceiveMaximum(u16),
        TopicAliasMaximum(u16),
        TopicAlias(u16),
        MaximumQos(u8),
        RetainAvailable(bool),
        MaximumPacketSize(u32),
        WildcardSubscriptionAvailable(bool),
        SubscriptionIdentifierAvailable(bool),
        SharedSubscriptionAvailable(bool),
    }
    Detail {
        ClientConnect(Connection),
        ClientConnack(Connack),
        ClientConnected(Connack),
        ClientDisconnected(Disconnection),
        ClientAuthenticated(Authentication),
        ClientAuthorized(Authorization),
        ClientSubscribe(Subscription),
        ClientUnsubscribe(Unsubscription),
        SessionCreated(Session),
        SessionResumed(Session),
        SessionSubscribed(Subscription),
        SessionUnsubscribed(Unsubscription),
        SessionDiscarded(Session),
        SessionTakenOver(Session),
        SessionTerminated(Termination),
        MessagePublish(Message),
        MessageDelivered(Delivery),
        MessageAcked(Acknowledgement),
        MessageDropped(MessageDrop),
        MessageRefused(MessageDrop),
        DeliveryDropped(DeliveryDrop),
        MessageQueued(Delivery),
        DeliveryLost(DeliveryLoss),
        Other(OtherEvent),
    }
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

// SAFETY: a byte that tells whether there is a value, and the value.
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

// SAFETY: the fields one after the other, each aligned, in the order of the contract.
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
unsafe fn lower_list<T: Lower>(list: Vec<T>, to: *mut u8) {
    const {
        assert!(
            T::SIZE <= size_of::<T>(),
            "what is lowered takes no more room than in Rust"
        )
    };
    let len = list.len();
    let memory = if len == 0 {
        ptr::without_provenance_mut(T::ALIGN)
    } else {
        // SAFETY: the list itself is a layout, and this one is not larger.
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

/// Reads the events, has them handled and writes the outcomes; gives where their list is described.
///
/// # Safety
///
/// `events` is a list of so many that the host has written. One thread; what is returned holds until the next call and
/// is taken back by the generated `__post_return_handle`.
#[doc(hidden)]
pub unsafe fn handle<T: Guest>(events: *mut u8, len: usize) -> *mut u8 {
    // As each generated export does first; it does something once, and for guests with constructors of C alone.
    #[cfg(target_arch = "wasm32")]
    wit_bindgen::rt::run_ctors_once();
    static mut ANSWER: [usize; 2] = [0; 2];
    let answer = (&raw mut ANSWER).cast::<u8>();
    // SAFETY: the caller's promise; there is one thread, and the host has read the last answer.
    unsafe {
        let outcomes = T::handle(Event::lift_list(events, len));
        lower_list(outcomes, answer);
    }
    answer
}

/// Where the generated `export_component!` looks for the exports of the handler; all but `handle` are the bindings'.
#[doc(hidden)]
pub mod exports {
    pub mod hookhost {
        pub mod hook {
            pub mod handler {
                pub use crate::__export_handler as __export_hookhost_hook_handler_0_1_0_cabi;
                pub use crate::abi::handle;
                pub use crate::bindings::exports::hookhost::hook::handler::{
                    __post_return_configure, __post_return_handle, _export_configure_cabi,
                };
            }
        }
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_handler {
    ($type:ident with_types_in $($path:tt)*) => {
        const _: () = {
            #[unsafe(export_name = "hookhost:hook/handler@0.1.0#configure")]
            unsafe extern "C" fn configure(
                node: *mut u8, node_len: usize, id: i32, version: *mut u8, version_len: usize, module: *mut u8,
                module_len: usize, generation: i32, config: *mut u8, config_len: usize,
            ) -> *mut u8 {
                unsafe {
                    $($path)*::_export_configure_cabi::<$type>(
                        node, node_len, id, version, version_len, module, module_len, generation, config, config_len,
                    )
                }
            }

            #[unsafe(export_name = "cabi_post_hookhost:hook/handler@0.1.0#configure")]
            unsafe extern "C" fn configured(answer: *mut u8) {
                unsafe { $($path)*::__post_return_configure::<$type>(answer) }
            }

            #[unsafe(export_name = "hookhost:hook/handler@0.1.0#handle")]
            unsafe extern "C" fn handle(events: *mut u8, len: usize) -> *mut u8 {
                unsafe { $($path)*::handle::<$type>(events, len) }
            }

            #[unsafe(export_name = "cabi_post_hookhost:hook/handler@0.1.0#handle")]
            unsafe extern "C" fn handled(answer: *mut u8) {
                unsafe { $($path)*::__post_return_handle::<$type>(answer) }
            }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of the fields or cases of a type of the contract, in their order.
    fn members(kind: &str, name: &str) -> Vec<String> {
        let contract = include_str!("../../wit/hook.wit");
        let head = format!("  {kind} {} {{", kebab(name));
        let lines = contract.lines().skip_while(|line| *line != head).skip(1);
        let members = lines.map(str::trim).take_while(|line| *line != "}");
        let members = members.filter(|line| !line.starts_with("//"));
        members
            .filter_map(|line| line.split([':', '(', ',']).next())
            .map(str::to_owned)
            .collect()
    }

    /// `RetainAvailable` and `retain_available` as `retain-available`.
    fn kebab(name: &str) -> String {
        let mut text = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !text.is_empty() {
                text.push('-');
            }
            text.extend(letter.to_lowercase());
        }
        text.replace('_', "-")
    }

    #[test]
    fn the_order_is_that_of_the_contract() {
        for (kind, types) in [("record", RECORDS), ("variant", VARIANTS)] {
            for (name, ours) in types {
                let ours: Vec<_> = ours.iter().map(|member| kebab(member)).collect();
                assert_eq!(ours, members(kind, name), "{name}");
            }
        }
        let request = members("record", "Request");
        assert_eq!(
            request,
            [
                "method",
                "url",
                "headers",
                "body",
                "ordering-key",
                "destination",
                "options"
            ]
        );
        assert_eq!(members("enum", "Method"), ["get", "post", "put", "patch", "delete"]);
        assert_eq!(members("variant", "Body"), ["text", "bytes"]);
        assert_eq!(members("variant", "Outcome"), ["ignore", "deliver", "fail"]);
    }

    /// As the canonical ABI has them for memories of 32 bits: laid out by hand.
    #[test]
    fn sizes_follow_from_the_parts() {
        assert_eq!(
            (Option::<u8>::SIZE, Option::<u16>::SIZE, Option::<u64>::SIZE),
            (2, 4, 16)
        );
        assert_eq!((Address::SIZE, Address::ALIGN), (3 * WORD, WORD));
        assert_eq!(Option::<Address>::SIZE, 4 * WORD);
        assert_eq!((Client::SIZE, Property::SIZE), (17 * WORD, 3 * WORD));
        assert_eq!((DropReason::SIZE, Option::<Pairs>::SIZE), (1, 3 * WORD));
        assert_eq!(
            (Event::SIZE, Event::ALIGN),
            (80 + 60 * WORD, 8),
            "what the generated bindings count"
        );
    }
}
