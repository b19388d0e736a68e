"""What the firmware calls through pointers. A call through any other one is a reason to say that nothing is proved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["pointed_from", "stem", "undeclared"]

_REQUESTS = "hello|infer|profile|leave|frame_begin|frame_rows|frame_end"  # `requests` of main.c

# The function with the call -> the functions that the pointer may have; names as whole regular expressions.
_POINTED: Mapping[str, str] = {
    "main": _REQUESTS,
    "answer": _REQUESTS,
    "put_frame|le_link_reply|le_link_error|le_link_fault|le_fault": "port_putc",
    "le_fold_tables|le_self_test": "le_crc32_table|le_crc32",
    "convolve|le_conv2d_(tiles|connected)_avr_s8": r"le_tile_\d(_connected|_four|_two|_trits)?(_double)?_avr_s8",
    "le_depthwise_conv2d_avr_s8": r"le_depthwise(_3)?(_pooled)?(_double)?_avr_s8",
    "le_conv2d_(tiles|connected)_lanes_s8": r"le_tile_\d(_connected)?_lanes_s8",
    "convolve|run_row|le_conv2d_(one|nested|pairs)(_double)?_dsp_s8": r"le_(one_row|nested|pairs_\d)\w*_dsp_s8",
    "le_conv2d_nine_dsp_s8": r"le_nine_\w+_dsp_s8",
    r"(put|run)_\w+|le_conv2d_positions_dsp_s8": r"le_(positions|widen)_\w+_dsp_s8",
    r"convolve|(pooled_)?rows|depthwise|le_depthwise_(conv2d|3x3)(_\w+)?_dsp_s8": (
        r"le_depthwise_(row|1|2|pooled)(_turned)?(_double)?_dsp_s8"
    ),
    "depthwise|le_depthwise_conv2d(_double)?_dsp_s8": "(pooled_)?rows",
    "le_positions_compact": "largest|le_largest_2x2_compact",
    "multiply|slide|le_conv2d_(pairs|few)_mve_s8": r"le_(few|pairs)(_up)?(_double)?_mve_s8",
    "one_row|le_depthwise_conv2d_mve_s8": r"le_depthwise(_3x3)?(_nine)?(_double)?_mve_s8",
    "le_conv2d_columns_mve_s8": r"\w+_channels",
    "le_one_rows_mve_s8": "le_sums_of_row_mve",
    r"\w+_channels": r"le_columns_outputs(_double)?_mve_s8",
    "le_(conv2d|depthwise_conv2d|fully_connected)_packed_s8|le_maximum_of_window": r"le_(sum|largest)_\w+",
    "pool|le_(max|average)_pool2d_s8": "largest_in|mean_of|(largest|average)_of_one|le_(largest|average)_fours",
    "le_add_parts|le_average_(parts|fours)|means_(in_parts|of)|le_mean_fours_s8": "le_add_(four|eight|words)",
    "le_each_run": "sums|products",
    # These are inline, with pointers that compilers know as a rule.
    r"le_patches_s8|le_conv2d_patches\w*": r"multiply(_\w+)?|(le_)?copy_patch(_s8)?|maximum|le_maximum_of_s8",
    r"multiply(_\w+)?|le_fully_connected(_\w+)?_dsp_s8": r"le_matrix(_wide)?(_double)?_dsp_s8",
    r"le_depthwise_lanes_s8|le_depthwise_conv2d(_\w+)?_lanes_s8": "channel",
    r"le_compute_3_lanes|channel": r"le_depthwise_3_(divided|double)_lanes",
    r"channel|le_depthwise_any_lanes|le_outputs_of_row_lanes|le_multiply_lanes_s8|le_fully_connected(_\w+)?_lanes_s8": (
        r"requantize|le_requantize_(double|tie_free)_lanes"
    ),
    r"le_positions_lanes_s8|le_multiply_positions|le_conv2d_positions(_double)?_lanes_s8": (
        r"le_two_positions_(divided|double)_lanes_s8"
    ),
    r"le_(fully_connected|conv2d_patches)_(\w+_avr_s8|avr_s8|\w*by)": (
        r"le_groups_(\w+_)?avr_s8|le_outputs_of_five_(avr_s8|started)"
    ),
}

# What the processor begins with: nothing calls it.
_BEGUN = re.compile("le_reset|le_fault_entry|le_fault_on_fresh_stack|le_trap")


def stem(name: str) -> str:
    """The name of a function of which this is a copy: compilers add endings, such as ``.constprop.0``."""
    return name.partition(".")[0]


def pointed_from(caller: str, names: Iterable[str]) -> set[str]:
    """Which of these functions a pointer that is called in one function may have."""
    patterns = [whom for who, whom in _POINTED.items() if re.fullmatch(who, stem(caller))]
    if not patterns:
        return set()
    wanted = re.compile("|".join(patterns))
    return {name for name in names if wanted.fullmatch(stem(name))}


def undeclared(taken: Iterable[str], names: Iterable[str]) -> list[str]:
    """Functions whose address is taken, but that no pointer which is called in one of these functions may have.

    Args:
        taken: of `taken_in`; what is no function is left out.
        names: all functions.
    """
    stems = {stem(name) for name in names}
    patterns = [whom for who, whom in _POINTED.items() if any(map(re.compile(who).fullmatch, stems))]
    known = re.compile("|".join((_BEGUN.pattern, *patterns)))
    return sorted(name for name in stems.intersection(taken) if not known.fullmatch(name))
