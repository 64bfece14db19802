#pragma once
// Choosing convolution kernels by measuring them.

#include <string>

namespace lucid {

/// While on, the first call at each shape, pass and number of threads runs every kernel that can compute it,
/// a few times, and the fastest one serves from then on. Off at the start: a cost rule chooses. Results may
/// differ in rounding between kernels. Plans made before keep what they have.
void set_autotune(bool on);
bool autotune();

/// Remembers measured choices in the JSON file `path` across runs: those in it are taken over now, those to
/// come are added at once. A file that another processor or version of lucid wrote is not used, and replaced.
/// "" ends it. Throws IoError or Error when the file exists and can't be read, or is no such file; nothing
/// changes then.
void set_autotune_file(const std::string& path);

}  // namespace lucid
