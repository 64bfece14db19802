#pragma once
// The definitions of the built-in ops, one file a family. The table is explicit: each file adds its own.

#include <map>
#include <string>

#include "ops/reference/array.hpp"

namespace lucid::reference {

using Definitions = std::map<std::string, Definition, std::less<>>;

void define_arithmetic(Definitions& definitions);  // add, mul, pow, where, comparisons, ...
void define_attention(Definitions& definitions);   // scaled_dot_product_attention
void define_unary(Definitions& definitions);       // exp, sqrt, casts, activations, ...

/// All of them, by the op's name.
const Definitions& definitions();

}  // namespace lucid::reference
