/* Text that grows, a plain tokenizer, and a checksum. */
#include "sim.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void text_add(Text *text, const char *more, size_t length) {
    if (text->length + length + 1 > text->room) {
        text->room = (text->length + length + 1) * 2;
        text->text = realloc(text->text, text->room);
    }
    memcpy(text->text + text->length, more, length);
    text->length += length;
    text->text[text->length] = 0;
}

void text_put(Text *text, const char *form, ...) {
    char piece[512];
    va_list values;
    va_start(values, form);
    int length = vsnprintf(piece, sizeof piece, form, values);
    va_end(values);
    text_add(text, piece, (size_t)length < sizeof piece ? (size_t)length : sizeof piece - 1);
}

size_t text_special(const char *at) {
    const char *end;
    if (strncmp(at, "<|", 2) || !(end = strstr(at, "|>")) || end - at > 40)
        return 0;
    for (const char *inside = at; inside < end; inside++)
        if (isspace((unsigned char)*inside))
            return 0;
    return (size_t)(end - at) + 2;
}

static size_t character(const char *at) {
    size_t length = 1;
    if ((unsigned char)*at >= 0xC0)
        while (length < 4 && ((unsigned char)at[length] & 0xC0) == 0x80)
            length++;
    return length;
}

/* A special token, a word with the space before it, or one character. */
size_t text_token(const char *at) {
    if (!*at)
        return 0;
    size_t special = text_special(at);
    if (special)
        return special;
    size_t length = *at == ' ' ? 1 : 0;
    while (isalnum((unsigned char)at[length]) && (unsigned char)at[length] < 0x80)
        length++;
    if (length > 1 || (length == 1 && *at != ' '))
        return length;
    return character(at);
}

/* CRC-32, eight bytes at a time: the rows of a picture are millions of bytes, and no board has to do this. */
uint32_t text_checksum(const void *data, size_t length) {
    static uint32_t table[8][256];
    if (!table[7][255])
        for (int part = 0; part < 8; part++)
            for (uint32_t i = 0; i < 256; i++) {
                uint32_t value = part ? table[part - 1][i] : i;
                for (int bit = 0; bit < 8; bit++)
                    value = value & 1 ? 0xEDB88320u ^ (value >> 1) : value >> 1;
                table[part][i] = value;
            }
    uint32_t sum = 0xFFFFFFFFu;
    const unsigned char *at = data, *end = at + length;
    for (uint32_t one, two; end - at >= 8; at += 8) {
        memcpy(&one, at, sizeof one);
        memcpy(&two, at + 4, sizeof two);
        one ^= sum; /* little-endian, as every board is */
        sum = table[7][one & 0xFF] ^ table[6][one >> 8 & 0xFF] ^ table[5][one >> 16 & 0xFF] ^ table[4][one >> 24];
        sum ^= table[3][two & 0xFF] ^ table[2][two >> 8 & 0xFF] ^ table[1][two >> 16 & 0xFF] ^ table[0][two >> 24];
    }
    for (; at < end; at++)
        sum = table[0][(sum ^ *at) & 0xFF] ^ (sum >> 8);
    return sum ^ 0xFFFFFFFFu;
}
