/* le_crc32.c with fewer bytes: bit by bit. Firmware with the small link has this one. */
#include "le_crc32.h"

static uint32_t add_byte(uint32_t crc, uint8_t byte)
{
    crc ^= byte;
    for (uint8_t bit = 0; bit < 8; bit++) {
        crc = crc & 1u ? (crc >> 1) ^ UINT32_C(0xEDB88320) : crc >> 1;
    }
    return crc;
}

#if defined(__AVR__)
uint32_t le_crc32(uint32_t crc, const uint8_t *data, uint16_t size)
{
    return le_crc32_table(crc, data, size); /* a __memx pointer reaches RAM as well */
}

uint32_t le_crc32_table(uint32_t crc, LE_TABLE uint8_t *data, uint16_t size)
#else
uint32_t le_crc32(uint32_t crc, const uint8_t *data, uint16_t size)
#endif
{
    crc = ~crc;
    for (; size > 0; size--) {
        crc = add_byte(crc, *data++);
    }
    return ~crc;
}
