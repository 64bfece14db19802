#pragma once
// One tensor in a file, in NumPy's .npy format. Types <f4, <f8, <i8, <i4, |u1 and |b1.

#include <iosfwd>
#include <string>

#include "lucid/tensor.hpp"

namespace lucid::npy {

/// Writes `tensor`, whatever its strides, in row-major order. The file appears whole or not at all. Throws
/// Error on an undefined tensor and on bfloat16, which NumPy has not, IoError when the file can't be written.
void save(const std::string& path, const Tensor& tensor);

/// Reads a file of format version 1, 2 or 3, in row-major or Fortran order. Throws IoError naming the path
/// when it can't be read, holds another type, or is shorter or longer than its header says. Allocates no more
/// than the file is long.
Tensor load(const std::string& path);

/// Reads `bytes` bytes from `in`; `name` stands for the path in errors.
Tensor read(std::istream& in, std::int64_t bytes, const std::string& name);

}  // namespace lucid::npy
