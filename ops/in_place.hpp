#pragma once
// What makes a change in place safe: for the graph, and where operands share memory.

#include "lucid/tensor.hpp"

namespace lucid::ops {

/// True when changing `target` with `source` must be recorded. Throws AutogradError where that cannot be: on
/// a leaf that requires a gradient, and on a tensor whose memory another tensor shares (a view would not
/// learn of the change's history).
bool must_record_change(std::string_view op, const Tensor& target, const Tensor& source = {});

/// Throws Error when `target` repeats an element, as an expanded tensor does: it would change more than once.
void require_distinct(std::string_view op, const Tensor& target);

/// True when a loop over both may read from `source` what it has written to `target` before: they share
/// memory, and not element by element.
bool overlap(const Tensor& target, const Tensor& source);

/// Gives `target` the values and the place in the graph of `result`, which was computed out of place.
void replace(const Tensor& target, const Tensor& result);

}  // namespace lucid::ops
