#pragma once

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "examples/segmentation/error.hpp"

namespace support {

/// A folder that goes with its owner.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "segment_io_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  std::size_t file_count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::string path_;
};

/// The text of the InputError that `call` raises; "" if it raises none.
template <class Call>
std::string error_of(Call&& call) {
  try {
    call();
  } catch (const segment::InputError& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Checks that an error has every part and is one line.
#define CHECK_ERROR(text, ...)                                                    \
  do {                                                                            \
    const std::string error_text = (text);                                        \
    INFO(error_text);                                                             \
    CHECK_FALSE(error_text.empty());                                              \
    CHECK_FALSE(support::contains(error_text, "\n"));                             \
    for (const std::string& error_part : std::vector<std::string>{__VA_ARGS__}) { \
      INFO(error_part);                                                           \
      CHECK(support::contains(error_text, error_part));                           \
    }                                                                             \
  } while (false)

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::string gunzip(const std::string& path) {
  std::string bytes;
  gzFile file = gzopen(path.c_str(), "rb");
  REQUIRE(file != nullptr);
  char block[4096];
  for (int got; (got = gzread(file, block, sizeof block)) > 0;)
    bytes.append(block, static_cast<std::size_t>(got));
  gzclose(file);
  return bytes;
}

inline void write_gzip(const std::string& path, const std::string& bytes) {
  gzFile file = gzopen(path.c_str(), "wb");
  REQUIRE(file != nullptr);
  REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
  REQUIRE(gzclose(file) == Z_OK);
}

/// A NIfTI-1 file built byte by byte from the standard's field offsets, without libnifti.
struct Nifti {
  std::vector<std::int16_t> dim{3, 3, 4, 5, 1, 1, 1, 1};
  std::int16_t datatype = 16, bits = 32;
  float pixdim[8] = {1, 1, 1, 1, 0, 0, 0, 0};
  float vox_offset = 352, slope = 0, inter = 0;
  std::int16_t qform = 0, sform = 1;
  float quatern[6] = {0, 0, 0, 0, 0, 0};
  float rows[12] = {1, 0, 0, -10, 0, 1, 0, -20, 0, 0, 1, -30};
  std::string magic{"n+1\0", 4};
  std::string data;
  bool swapped = false;

  /// Appends a voxel, x fastest.
  template <class T>
  void push(T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    if (swapped) std::reverse(bytes, bytes + sizeof(T));
    data.append(bytes, sizeof(T));
  }

  std::string bytes() const {
    std::string header(352, '\0');
    put<std::int32_t>(header, 0, 348);
    for (int i = 0; i < 8; ++i) put(header, 40 + 2 * i, dim[static_cast<std::size_t>(i)]);
    put(header, 70, datatype);
    put(header, 72, bits);
    for (int i = 0; i < 8; ++i) put(header, 76 + 4 * i, pixdim[i]);
    put(header, 108, vox_offset);
    put(header, 112, slope);
    put(header, 116, inter);
    put(header, 252, qform);
    put(header, 254, sform);
    for (int i = 0; i < 6; ++i) put(header, 256 + 4 * i, quatern[i]);
    for (int i = 0; i < 12; ++i) put(header, 280 + 4 * i, rows[i]);
    header.replace(344, 4, magic);
    return header + data;
  }

 private:
  template <class T>
  void put(std::string& into, int at, T value) const {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    if (swapped) std::reverse(raw, raw + sizeof(T));
    into.replace(static_cast<std::size_t>(at), sizeof(T), raw, sizeof(T));
  }
};

/// 3x4x5 voxels of value x + 10 y + 100 z.
template <class T>
Nifti counting(std::int16_t datatype, bool swapped = false) {
  Nifti nifti;
  nifti.datatype = datatype;
  nifti.bits = 8 * sizeof(T);
  nifti.swapped = swapped;
  for (int z = 0; z < 5; ++z) {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 3; ++x) nifti.push(static_cast<T>(x + 10 * y + 100 * z));
    }
  }
  return nifti;
}

}  // namespace support
