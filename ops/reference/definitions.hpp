#pragma once
// The definitions of the built-in ops, one file a family. The table is explicit: each file adds its own.

#include <map>
#include <string>

#include "ops/reference/array.hpp"

namespace lucid::reference {

using Definitions = std::map<std::string, Definition, std::less<>>;

void define_arithmetic(Definitions& definitions);  // add, mul, pow, where, comparisons, ...
void define_unary(Definitions& definitions);       // exp, sqrt, casts, activations, ...
void define_reductions(Definitions& definitions);  // sum, max, var, norm, cumsum, softmax, ...
void define_shapes(Definitions& definitions);      // reshape, permute, expand, roll, ...
void define_parts(Definitions& definitions);       // slice, getitem, split, cat, pad, one_hot, ...
void define_picks(Definitions& definitions);       // index_select, gather, topk, embedding, ...
void define_matmul(Definitions& definitions);      // matmul, addmm, linear, ...

/// All of them, by the op's name.
const Definitions& definitions();

}  // namespace lucid::reference
