"""What both clients of Python send: text and binary of each size, and text of nothing but characters beyond the BMP."""


def messages_of(sizes):
    for size in sizes:
        yield 'aé€😀' * (size // 10) + 'x' * (size % 10)
        yield bytes(i % 251 for i in range(size))
    yield '😀𝄞𐍈' * 100
