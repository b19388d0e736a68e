/* CRC-32 as zlib, PNG and Ethernet have it: polynomial 0xEDB88320 (reflected), initial value and final
 * exclusive-or all ones. The CRC of the nine characters "123456789" is 0xCBF43926. */

#ifndef LE_CRC32_H
#define LE_CRC32_H

#include <stdint.h>

/* Where constant tables live. On AVR constants would be copied to RAM, of which there is little;
 * a __memx pointer reads them where they are, in flash beyond 64 KB included. */
#ifndef LE_TABLE
#if defined(__AVR__)
#define LE_TABLE const __memx
#else
#define LE_TABLE const
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The CRC of all bytes so far, given that of those before `data`; 0 to begin with, as zlib.crc32.
 * `data` may be anything where `size` is 0. */
uint32_t le_crc32(uint32_t crc, const uint8_t *data, uint16_t size);

/* The same for data that is a constant table. */
#if defined(__AVR__)
uint32_t le_crc32_table(uint32_t crc, LE_TABLE uint8_t *data, uint16_t size);
#define LE_CRC32_OF_TABLE le_crc32_table
#else
#define LE_CRC32_OF_TABLE le_crc32
#define le_crc32_table(crc, data, size) le_crc32((crc), (data), (size))
#endif

/* The CRC over any data followed by its own CRC, little-endian: one comparison checks a message. */
#define LE_CRC32_RESIDUE UINT32_C(0x2144DF1C)

#ifdef __cplusplus
}
#endif

#endif
