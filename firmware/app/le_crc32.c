#include "le_crc32.h"

/* Half a byte at a time: 64 bytes of table, where a table for whole bytes takes 1,024. */
static LE_TABLE uint32_t le_crc32_nibble[16] = {
    UINT32_C(0x00000000), UINT32_C(0x1DB71064), UINT32_C(0x3B6E20C8), UINT32_C(0x26D930AC),
    UINT32_C(0x76DC4190), UINT32_C(0x6B6B51F4), UINT32_C(0x4DB26158), UINT32_C(0x5005713C),
    UINT32_C(0xEDB88320), UINT32_C(0xF00F9344), UINT32_C(0xD6D6A3E8), UINT32_C(0xCB61B38C),
    UINT32_C(0x9B64C2B0), UINT32_C(0x86D3D2D4), UINT32_C(0xA00AE278), UINT32_C(0xBDBDF21C),
};

#if defined(__AVR__)
/* A __memx pointer reaches RAM as well, so that one loop serves both. */
uint32_t le_crc32(uint32_t crc, const uint8_t *data, uint16_t size)
{
    return le_crc32_table(crc, data, size);
}

uint32_t le_crc32_table(uint32_t crc, LE_TABLE uint8_t *data, uint16_t size)
#else
uint32_t le_crc32(uint32_t crc, const uint8_t *data, uint16_t size)
#endif
{
    crc = ~crc;
    for (; size > 0; size--) {
        crc ^= *data++;
        crc = (crc >> 4) ^ le_crc32_nibble[crc & 15u];
        crc = (crc >> 4) ^ le_crc32_nibble[crc & 15u];
    }
    return ~crc;
}
