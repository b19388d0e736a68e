/* Byte by byte: small, and called for a few bytes at a time. Built so that the compiler does not see a memcpy in memcpy. */
#include <stdint.h>
#include <string.h>

void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *out = (uint8_t *)to;
    const uint8_t *in = (const uint8_t *)from;
    while (size-- > 0) {
        *out++ = *in++;
    }
    return to;
}

void *memset(void *to, int value, size_t size)
{
    uint8_t *out = (uint8_t *)to;
    while (size-- > 0) {
        *out++ = (uint8_t)value;
    }
    return to;
}
