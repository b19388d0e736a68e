"""The command lines that each flash tool must get, from the tools' manuals, written out once more by hand."""

from __future__ import annotations


def pyocd(desk):
    """pyOCD 0.46, `pyocd load|commander|reset --help`; commands reference: savemem ADDR LEN FILENAME."""
    ((address, content),) = desk.parts
    common = ["-W", "--no-config", "-t", "nrf52840", "-u", "683920571"]
    return [
        ["pyocd", "load", *common, "--no-reset", "--format", "hex", "firmware.hex"],
        ["pyocd", "commander", *common, "-c", f"savemem {address:#x} {len(content)} read-back-0.bin"],
        ["pyocd", "reset", *common],
    ]


def openocd(desk):
    """OpenOCD User's Guide 0.12: 8.2 adapter serial; 12.4 flash write_image [erase]; 15.6 dump_image FILE ADDR SIZE."""
    ((address, content),) = desk.parts
    begin = ["openocd", "-c", "adapter serial 066CFF515254", "-f", "board/stm32f4discovery.cfg", "-c", "init"]
    dump = f"dump_image read-back-0.bin {address:#x} {len(content)}"
    return [
        [*begin, "-c", "reset halt", "-c", "flash write_image erase firmware.hex", "-c", "shutdown"],
        [*begin, "-c", "reset halt", "-c", dump, "-c", "shutdown"],
        [*begin, "-c", "reset run", "-c", "shutdown"],
    ]


def probe_rs(desk):
    """probe-rs-tools 0.29, cmd/download.rs, verify.rs, reset.rs and util/common_options.rs: --probe VID:PID:SERIAL."""
    common = ["--chip", "GD32VF103CB", "--probe", "0483:374b:066CFF515254", "--non-interactive"]
    file = ["--binary-format", "hex", "--disable-progressbars", "firmware.hex"]
    return [
        ["probe-rs", "download", *common, *file],
        ["probe-rs", "verify", *common, *file],
        ["probe-rs", "reset", *common],
    ]


def esptool(desk):
    """esptool 5: write-flash ADDRESS FILE, read-flash ADDRESS SIZE OUTPUT; addresses count from the chip's start."""
    ((address, content),) = desk.parts
    assert address == desk.board.flash.origin
    common = ["esptool", "--chip", "esp32c3", "--port", desk.port, "--baud", "460800", "--after"]
    return [
        [*common, "no-reset", "write-flash", "0x0", "firmware.bin"],
        [*common, "hard-reset", "read-flash", "0x0", hex(len(content)), "read-back-0.bin"],
    ]


def avrdude(desk):
    """AVRDUDE 7, "Option Descriptions"; the programmer as Arduino's boards.txt has it for the Mega 2560."""
    common = ["avrdude", "-p", "m2560", "-c", "wiring", "-P", desk.port, "-b", "115200", "-D"]
    return [[*common, "-V", "-U", "flash:w:firmware.hex:i"], [*common, "-U", "flash:v:firmware.hex:i"]]


GOLDEN = {"pyocd": pyocd, "openocd": openocd, "probe-rs": probe_rs, "esptool": esptool, "avrdude": avrdude}
