/* The first eight bytes of the flash: with them the boot ROM of the ESP32-C3 (revision 3 and later) maps the flash to
 * 0x42000000 for instructions and to 0x3C000000 for loads, and jumps to what follows them.
 * Source: Espressif, esp32c3-direct-boot-example, README.md: "Direct boot in ESP32-C3". */
    .section .boot, "a"
    .byte 0x1d, 0x04, 0xdb, 0xae, 0x1d, 0x04, 0xdb, 0xae
