//! Regular expressions as EMQX and Erlang match them.

use crate::functions::testing::check;

#[test]
fn as_recorded() {
    check(&[
        ("regex_match('abc123', '[0-9]+')", "true"),
        ("regex_match('abc', '^b')", "false"),
        ("regex_match('', '^$')", "true"),
        ("regex_match('abc', '(')", "fails"),
        ("regex_match('sql5', '^sql[0-9]$')", "true"),
        ("regex_match('ä', '^.$')", "false"),
        ("regex_match('ABC', '(?i)abc')", "true"),
        ("regex_match('a\nb', 'a$')", "false"),
        ("regex_match(5, '5')", "fails"),
        ("regex_replace('abc123', '[0-9]+', '#')", "\"abc#\""),
        ("regex_replace('aaa', 'a', 'b')", "\"bbb\""),
        ("regex_replace('abc', '', '-')", "\"-a-b-c-\""),
        ("regex_replace('abc', 'b', '[&]')", "\"a[b]c\""),
        ("regex_replace('a1b2', '[0-9]', '')", "\"ab\""),
        (r"regex_replace('  pad me', '\s+', ' ')", "\" pad me\""),
        ("regex_replace(7, '7', '8')", "fails"),
        ("regex_replace('äÖ€😀', '€', 'e')", "\"äÖe😀\""),
        ("regex_replace('xäx', 'x.', '-')", "\"-\u{fffd}x\""),
        (r"regex_extract('temp: 21.5 C', '([0-9.]+) (\w)')", r#"["21.5","C"]"#),
        ("regex_extract('abc', 'b')", "[]"),
        (r"regex_extract('none', '(\d+)')", "[]"),
        ("regex_extract('a\"b', '\"(.)')", r#"["b"]"#),
        ("regex_extract(5, '(5)')", "fails"),
    ]);
}

#[test]
fn what_is_not_supported() {
    check(&[
        (r"regex_match('aa', '^(a)\1$')", "fails"),
        ("regex_match('foobar', 'foo(?=bar)')", "fails"),
        ("regex_match('foobar', '(?<=foo)bar')", "fails"),
        (r"regex_match('foobar', 'foo\Kbar')", "fails"),
    ]);
}

/// Compared with Erlang 25.2.3.
#[test]
fn as_erlang() {
    check(&[
        ("regex_extract('a', '(a)|(b)')", r#"["a"]"#),
        ("regex_extract('b', '(a)|(b)')", r#"["","b"]"#),
        ("regex_extract('b', '(a)?b(c)?')", "[]"),
        ("regex_replace('axb', 'x*', '-')", "\"-a--b-\""),
        (r"regex_replace('abc', 'b', '[\0]')", "\"a[0]c\""),
        (
            r"regex_replace('abc', '(b)', '[\1\g1\g{1}\&\\\x&]')",
            r#""a[bbb&\\xb]c""#,
        ),
        (r"regex_replace('abc', '(b)', '\12|\')", r#""a|\\c""#),
        (r"regex_replace('abc', '(b)', '\g')", "\"agc\""),
        (r"regex_replace('abc', '(b)', '\g{x}')", "fails"),
        ("regex_replace('a\n', 'a$', '-')", "\"-\\n\""),
        ("regex_replace('a\r\nb', '$', '-')", "\"a\\r\\nb-\""),
        ("regex_replace('a\nb\n', '(?m)$', '-')", "\"a-\\nb-\\n-\""),
        ("regex_replace('a\nb\n', '$', '-')", "\"a\\nb-\\n-\""),
        (r"regex_replace('a\nb\n', '\Z', '-')", r#""a\\nb\\n-""#),
        ("regex_match('a{b', 'a{b')", "true"),
        ("regex_match('a{,2}', 'a{,2}')", "true"),
        ("regex_match('a]b', 'a]b')", "true"),
        ("regex_match('a}b', 'a}b')", "true"),
        ("regex_match(']', '[]a]')", "true"),
        ("regex_match('[', '[[a]')", "true"),
        ("regex_match('&', '[a&&b]')", "true"),
        (r"regex_match('-', '[a\d-z]')", "true"),
        ("regex_match('b', '[z-a]')", "fails"),
        (r"regex_match('j', '^\j$')", "true"),
        (r"regex_match('_', '^\_$')", "true"),
        (r"regex_extract('ab', '(?<x>a)(?P<y>b)')", r#"["a","b"]"#),
        (r"regex_match('aXbX', 'a\QXb\EX')", "true"),
        (r"regex_match(hexstr2bin('00'), '^\0$')", "true"),
        (r"regex_match('A', '^\101$')", "true"),
        ("regex_match('a', '^(?#comment)a$')", "true"),
        ("regex_match('ab', 'a++b')", "true"),
        (
            "regex_match('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac', '^(a+)+b')",
            "false",
        ),
        ("regex_match('xä', 'x[ä]$')", "false"),
        ("regex_match('xä', 'x[ä]+$')", "true"),
        ("regex_match('a b', '(?x) a [ ] b # comment')", "true"),
        (r"regex_match('-', '\b+')", "fails"),
        (r"regex_match('AbC1', '^(?i)a[b-c]+\w$')", "true"),
        (r"regex_match(hexstr2bin('C4'), '^(?i)\xe4$')", "true"),
        ("regex_match('aB', '^((?i)A)b$')", "false"),
        (r"regex_match(hexstr2bin('E4'), '^\w$')", "true"),
        (r"regex_match(hexstr2bin('A0'), '^\h\H?$')", "true"),
        ("regex_match(hexstr2bin('E4'), '^[[:alpha:]]$')", "true"),
    ]);
}
