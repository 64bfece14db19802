#pragma once
// Named tensors in a file, in the safetensors format: an 8-byte little-endian header length, a JSON header,
// the elements. Types F32, F64, BF16, I64, I32, U8 and BOOL.

#include <iosfwd>
#include <map>
#include <string>

#include "lucid/named_tensors.hpp"

namespace lucid::safetensors {

using Metadata = std::map<std::string, std::string>;

struct Contents {
  NamedTensors tensors;  ///< in the header's order
  Metadata metadata;
};

/// Writes `tensors`, whatever their strides, in row-major order. The file appears whole or not at all. Throws
/// Error on an undefined tensor, IoError when the file can't be written.
void save(const std::string& path, const NamedTensors& tensors, const Metadata& metadata = {});

/// Reads a file. Throws IoError that names the path, and the tensor where there is one, when the file can't
/// be read or breaks a rule of the format: bounds, gaps, overlaps, repeated names, sizes that disagree.
/// Allocates no more than the file is long.
NamedTensors load(const std::string& path);
Contents load_all(const std::string& path);

/// Reads `bytes` bytes from `in`; `name` stands for the path in errors.
Contents read(std::istream& in, std::int64_t bytes, const std::string& name);

}  // namespace lucid::safetensors
