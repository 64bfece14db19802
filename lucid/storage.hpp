#pragma once
// The bytes behind one or more tensors.

#include <cstdint>
#include <functional>

namespace lucid {

/// A block of bytes shared by a tensor and its views, with the count of in-place changes made to it.
class Storage {
 public:
  explicit Storage(std::int64_t bytes);  ///< uninitialised, from the caching allocator
  /// Bytes owned by somebody else; `release`, if any, runs when the last tensor goes.
  Storage(void* data, std::int64_t bytes, std::function<void()> release);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  /// Who writes there takes a new version first.
  std::byte* data() const { return data_; }
  std::int64_t bytes() const { return bytes_; }
  std::uint32_t version() const { return version_; }
  void bump_version() { ++version_; }
  /// Whether somebody may write without a new version: who owns the bytes, or was given a pointer to keep.
  bool is_shared() const { return is_shared_; }
  void set_shared() { is_shared_ = true; }

  /// What was computed from bytes [begin, begin + bytes) of a version, for who computes it: not synchronised.
  struct Digest {
    std::uint32_t version = 0;
    std::int64_t begin = 0, bytes = -1;
    std::uint64_t hash = 0;
  };
  Digest digest;

 private:
  std::byte* data_ = nullptr;
  std::int64_t bytes_ = 0;
  std::uint32_t version_ = 0;
  bool is_foreign_ = false, is_shared_ = false;
  std::function<void()> release_;
};

}  // namespace lucid
