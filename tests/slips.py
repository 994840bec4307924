"""Common slips in programs: each with its place, its message and how to mend it. One table, as long as the slips are many."""

Finding = tuple[str, int, int, str, str]
"""Name, line, column, message, and help."""

SLIPS: list[tuple[str, str, list[Finding]]] = [
    (
        "a misspelt setting",
        "traffic payments {\n  timout 5s\n  timeout fast\n}",
        [
            (
                "syntax-error",
                2,
                3,
                "expected a setting such as `timeout`, or a `route`, or `}`, found `timout`",
                "did you mean `timeout`?",
            ),
            (
                "syntax-error",
                3,
                11,
                "expected a duration such as `5s`, found `fast`",
                "",
            ),
        ],
    ),
    (
        "a misspelt declaration",
        "acess payments { allow a b }",
        [
            (
                "syntax-error",
                1,
                1,
                "expected a declaration such as `service` or `access`, found `acess`",
                "did you mean `access`?",
            ),
            ("syntax-error", 1, 26, "`,` is missing before `b`", "a comma stands between the items of a list"),
        ],
    ),
    (
        "a misspelt clause",
        "access a { allow d too POST /y }",
        [
            (
                "syntax-error",
                1,
                20,
                "expected `,`, `because`, `except`, `from`, `to` or another continuation, found `too`",
                "did you mean `to`?",
            )
        ],
    ),
    (
        "a synonym",
        "access a { permit b }",
        [
            (
                "syntax-error",
                1,
                12,
                "expected a rule that starts with `allow` or `deny`, or `}`, found `permit`",
                "write `allow`",
            )
        ],
    ),
    (
        "a misspelt word of another block",
        "service a in b {\n  timout 5\n}",
        [
            (
                "syntax-error",
                2,
                3,
                "expected a part such as `port`, `version` or `labels`, or `}`, found `timout`",
                "did you mean `timeout`? it stands in a `traffic` or `profile` block",
            )
        ],
    ),
    (
        "a missing closing brace before a declaration",
        "traffic a {\n  retry 2 on 5xx { per-try 5s\n}\nservice b in c { port 80 http }",
        [("unclosed-block", 2, 18, "this block is not closed before `service` in line 4", "close it with `}`")],
    ),
    (
        "a missing closing brace before a statement",
        "traffic a {\n  route GET /x { timeout 5s\n  route GET /y\n}\nservice a in b",
        [("unclosed-block", 2, 16, "this block is not closed before `route` in line 3", "close it with `}`")],
    ),
    (
        "a missing closing brace at the end",
        "access a {\n  allow b\n",
        [("unclosed-block", 1, 10, "this block is not closed before the end of the file", "close it with `}`")],
    ),
    (
        "a closing brace too many",
        "service a in b }\nservice c in d",
        [("syntax-error", 1, 16, "this `}` closes nothing", "delete it, or open its block with `{`")],
    ),
    (
        "a missing opening brace",
        "access payments\n  allow a\n}",
        [("syntax-error", 2, 3, "expected `{`, found `allow`", "a block stands in `{ … }`")],
    ),
    (
        "a missing comma",
        "group f = a b",
        [("syntax-error", 1, 13, "`,` is missing before `b`", "a comma stands between the items of a list")],
    ),
    (
        "a missing comma between addresses",
        "access a { allow b from 10.0.0.0/8 10.1.0.0/16 }",
        [("syntax-error", 1, 36, "`,` is missing before `10.1.0.0/16`", "a comma stands between the items of a list")],
    ),
    (
        "a missing parenthesis",
        'access a {\n  allow b when (header "x" == "1"\n}\nservice a in b',
        [("syntax-error", 3, 1, "expected `)`, found `}`", "")],
    ),
    (
        "one equals sign in a condition",
        'access a { allow b when header "x" = "1" }',
        [("syntax-error", 1, 36, "`=` should be `==` here", "`==` compares; a single `=` defines")],
    ),
    (
        "two equals signs in a definition",
        "let x == 5s",
        [("syntax-error", 1, 7, "`==` should be `=` here", "`=` defines; `==` compares")],
    ),
    (
        "a colon as in YAML",
        "service a in b { port: 8080 http }",
        [("syntax-error", 1, 22, "no `:` stands after `port`", "write `port 8080`")],
    ),
    (
        "a colon in labels",
        'service a in b { labels app: "x" }',
        [("syntax-error", 1, 28, "`:` should be `=` here", "`=` stands between a label's key and value")],
    ),
    (
        "a colon before a block",
        "service a in b:\n  port 80 http",
        [("syntax-error", 1, 15, "no `:` stands after `b`", "a block stands in `{ … }`")],
    ),
    (
        "an unquoted header",
        "access a { allow b when header x-region == eu }",
        [
            ("syntax-error", 1, 32, "expected a string in quotes, found `x-region`", 'write `"x-region"`'),
            ("syntax-error", 1, 44, "expected a string in quotes, found `eu`", 'write `"eu"`'),
        ],
    ),
    (
        "an unquoted address",
        "authenticate a { jwt j { issuer https://idp.example/x audiences payments } }",
        [
            (
                "syntax-error",
                1,
                33,
                "expected a string in quotes, found `https://idp.example/x`",
                'write `"https://idp.example/x"`',
            ),
            ("syntax-error", 1, 65, "expected a string in quotes, found `payments`", 'write `"payments"`'),
        ],
    ),
    (
        "an unquoted host",
        "external s in b { host api.example, *.x.com port 443 https }",
        [
            ("syntax-error", 1, 24, "expected a string in quotes, found `api.example`", 'write `"api.example"`'),
            ("syntax-error", 1, 37, "expected a string in quotes, found `*.x.com`", 'write `"*.x.com"`'),
        ],
    ),
    (
        "an unquoted title",
        "test x { allow a GET b }",
        [("syntax-error", 1, 6, "expected a string in quotes, found `x`", 'write `"x"`')],
    ),
    (
        "a word for a duration",
        "traffic a { timeout fast }",
        [
            (
                "syntax-error",
                1,
                21,
                "expected a duration such as `5s`, found `fast`",
                "",
            )
        ],
    ),
    (
        "a comment with slashes",
        "// hello\nservice a in b",
        [("syntax-error", 1, 1, "`//` does not start a comment", "a comment starts with `#` and ends with its line")],
    ),
    (
        "a comment with slash and star",
        "/* foo\nbar */\nservice c in d oops",
        [
            ("syntax-error", 1, 1, "`/*` does not start a comment", "a comment starts with `#` and ends with its line"),
            ("syntax-error", 3, 16, "expected `{` or the next declaration, found `oops`", ""),
        ],
    ),
    (
        "semicolons",
        "service a in b { port 80 http; port 81 http; }",
        [
            (
                "syntax-error",
                1,
                30,
                "`;` does not end a statement",
                "leave it out: statements need nothing between them",
            ),
            (
                "syntax-error",
                1,
                44,
                "`;` does not end a statement",
                "leave it out: statements need nothing between them",
            ),
        ],
    ),
    (
        "a name with capitals",
        "service Payments in my_ns",
        [
            (
                "syntax-error",
                1,
                9,
                "`Payments` is not a name",
                "names are lower-case letters, digits and hyphens: `payments`",
            ),
            (
                "syntax-error",
                1,
                21,
                "`my_ns` is not a name",
                "names are lower-case letters, digits and hyphens: `my-ns`",
            ),
        ],
    ),
    (
        "a name with underscores",
        "group e = a, my_service, myService",
        [
            (
                "syntax-error",
                1,
                14,
                "`my_service` is not a name",
                "names are lower-case letters, digits and hyphens: `my-service`",
            ),
            (
                "syntax-error",
                1,
                26,
                "`myService` is not a name",
                "names are lower-case letters, digits and hyphens: `my-service`",
            ),
        ],
    ),
    (
        "a reserved word as a name",
        "service mesh in x",
        [
            (
                "syntax-error",
                1,
                9,
                "`mesh` is a word of the language and cannot be a service's name",
                "choose another name, such as `mesh-service`",
            )
        ],
    ),
    (
        "single quotes",
        "access a { allow b when header 'x' == \"1\" }",
        [("syntax-error", 1, 32, "single quotes do not make a string", 'write `"x"`')],
    ),
    (
        "typographic quotes",
        'access a { allow b when header “x” == "1" }',
        [("syntax-error", 1, 32, "typographic quotes do not make a string", 'write `"x"`')],
    ),
    (
        "a string without an end",
        'access a { allow b when header "x == 1\n  deny c }',
        [("syntax-error", 1, 32, "this string is never closed", 'close it with `"` on the same line')],
    ),
    (
        "a pattern without an end",
        'access a { allow b when host matches re"x+\n}',
        [("syntax-error", 1, 38, "this string is never closed", 'close it with `"` on the same line')],
    ),
    (
        "rpc forgotten",
        "access a { allow b to bank.Payments/Charge }",
        [("syntax-error", 1, 23, "`rpc` is missing before `bank.Payments/Charge`", "write `rpc bank.Payments/Charge`")],
    ),
    (
        "a method in lower case",
        "access a { allow b to get /x }",
        [("syntax-error", 1, 23, "a method is written in capitals", "write `GET`")],
    ),
    (
        "a method in mixed case",
        "access a { allow b to Post /y }",
        [("syntax-error", 1, 23, "a method is written in capitals", "write `POST`")],
    ),
    (
        "a path without its slash",
        "access a { allow b to POST charge/{id} }",
        [("syntax-error", 1, 28, "the path `charge/{id}` lacks its leading slash", "write `/charge/{id}`")],
    ),
    (
        "operators of other languages",
        'access a { allow b when host == "1" && !(host == "a" || sni == "b") }',
        [
            ("syntax-error", 1, 37, "`&&` should be `and` here", "`and` joins conditions"),
            ("syntax-error", 1, 40, "`!` should be `not` here", "`not` turns a condition round"),
            ("syntax-error", 1, 54, "`||` should be `or` here", "`or` joins conditions"),
        ],
    ),
    (
        "a missing namespace",
        "service x { port 80 http }",
        [("syntax-error", 1, 9, "the service `x` needs a namespace", "write `service x in NAMESPACE`")],
    ),
    (
        "a namespace forgotten at the end of a line",
        "service x in\nservice y in z",
        [("syntax-error", 2, 1, "expected a namespace, found `service`", "")],
    ),
    (
        "a route in an access block",
        "access a { route /x }",
        [("syntax-error", 1, 12, "`route` does not belong in an `access` block", "it stands in a `traffic` block")],
    ),
    (
        "a timeout in an access block",
        "access a {\n  timeout 5s\n  allow b\n}",
        [
            (
                "syntax-error",
                2,
                3,
                "`timeout` does not belong in an `access` block",
                "it stands in a `traffic` or `profile` block",
            )
        ],
    ),
    (
        "a rule outside of a block",
        "allow a to GET /x",
        [
            (
                "syntax-error",
                1,
                1,
                "`allow` does not belong outside of a block",
                "it stands in an `access`, or a `test`, block",
            )
        ],
    ),
    (
        "a declaration inside a block",
        "access a {\n  allow b\n  service c in d\n}",
        [
            (
                "syntax-error",
                3,
                3,
                "`service` does not belong in an `access` block",
                "close the block with `}` before it",
            )
        ],
    ),
    (
        "an environment in an environment",
        "environment a { environment b { } }",
        [
            (
                "syntax-error",
                1,
                17,
                "`environment` does not belong in an `environment` block",
                "close the block with `}` before it",
            )
        ],
    ),
    (
        "a unit apart",
        "traffic a { timeout 5 s }",
        [("syntax-error", 1, 21, "a number and its unit are one word", "write `5s`")],
    ),
    (
        "a rate apart",
        "rate-limit a { 100 / s burst 5 }",
        [("syntax-error", 1, 16, "a number and its unit are one word", "write `100/s`")],
    ),
    (
        "a percentage apart",
        'telemetry mesh { trace 5 % to otlp "x" }',
        [("syntax-error", 1, 24, "a number and its unit are one word", "write `5%`")],
    ),
    (
        "clauses in another order",
        'access a { allow b until 2027-03-31 when host == "a" }',
        [
            (
                "syntax-error",
                1,
                37,
                "expected `because`, `until`, `}` or the next statement, found `when`",
                "its parts come in this order: `except`, `from`, `to`, `when`, `because`",
            )
        ],
    ),
    (
        "a statement without its value",
        "traffic a {\n  timeout\n  retry never\n}",
        [
            (
                "syntax-error",
                3,
                3,
                "expected a duration such as `5s`, found `retry`",
                "",
            )
        ],
    ),
    (
        "a rule without a source",
        "access a {\n  allow\n}",
        [("syntax-error", 3, 1, "expected a source, such as a service or `anyone`, found `}`", "")],
    ),
    (
        "a retry without its conditions",
        "traffic a { retry 3 }",
        [("syntax-error", 1, 21, "expected `on`, found `}`", "")],
    ),
    (
        "a port after its protocol",
        "service a in b { port http 80 }",
        [("syntax-error", 1, 23, "expected a port number, found `http`", "")],
    ),
    (
        "bad escapes",
        'let y = "\\q \\u{110000} \\u{d800}"',
        [
            (
                "syntax-error",
                1,
                10,
                "`\\q` is no escape",
                'write `\\"`, `\\\\`, `\\n`, `\\t` or `\\u{2026}`; a lone backslash is `\\\\`',
            ),
            (
                "syntax-error",
                1,
                13,
                "`\\u{110000}` is no character",
                'write `\\"`, `\\\\`, `\\n`, `\\t` or `\\u{2026}`; a lone backslash is `\\\\`',
            ),
            (
                "syntax-error",
                1,
                24,
                "`\\u{d800}` is no character",
                'write `\\"`, `\\\\`, `\\n`, `\\t` or `\\u{2026}`; a lone backslash is `\\\\`',
            ),
        ],
    ),
    (
        "merge markers",
        "<<<<<<< HEAD\nservice a in b\n=======\nservice a in c oops\n>>>>>>> other\nservice z in c",
        [
            (
                "merge-marker",
                1,
                1,
                "a merge conflict was left in the file",
                "keep the side that is right, or both, and delete the marker lines",
            )
        ],
    ),
    (
        "an invisible character in a name",
        "service pay\u200bments in b",
        [
            (
                "invisible-character",
                1,
                12,
                "an invisible character, zero width space (U+200B), stands here",
                "delete it: text that looks different from what it says must not decide about access; in a string, write it as `\\u{200b}`",
            )
        ],
    ),
    (
        "an invisible character in a comment",
        "# a\u202eb\nservice a in b",
        [
            (
                "invisible-character",
                1,
                4,
                "an invisible character, right-to-left override (U+202E), stands here",
                "delete it: text that looks different from what it says must not decide about access; in a string, write it as `\\u{202e}`",
            )
        ],
    ),
    (
        "a byte order mark",
        "\ufeffservice a in b",
        [
            (
                "invisible-character",
                1,
                1,
                "the file starts with a byte order mark (U+FEFF)",
                "save the file as UTF-8 without a byte order mark",
            )
        ],
    ),
    (
        "characters of no meaning",
        "service a in b\n@@@ ~~~\nservice c in d",
        [("syntax-error", 2, 1, "expected a declaration such as `service` or `access`, found `@@@`", "")],
    ),
    ("tabs and lone line ends are no mistake", "service\ta\tin\tb\r\n", []),
    (
        "several mistakes",
        "service a in b { port: 80 http }\ntraffic a {\n  timout 5s\n  retry 2 when 5xx\n  route get /x\n}\nlet x == 1",
        [
            ("syntax-error", 1, 22, "no `:` stands after `port`", "write `port 80`"),
            (
                "syntax-error",
                3,
                3,
                "expected a setting such as `timeout`, or a `route`, or `}`, found `timout`",
                "did you mean `timeout`?",
            ),
            (
                "syntax-error",
                4,
                11,
                "expected `on`, found `when`",
                "",
            ),
            ("syntax-error", 5, 9, "a method is written in capitals", "write `GET`"),
            ("syntax-error", 7, 7, "`==` should be `=` here", "`=` defines; `==` compares"),
        ],
    ),
]
