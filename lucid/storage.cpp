#include "lucid/storage.hpp"

#include <utility>

#include "lucid/allocator.hpp"

namespace lucid {

Storage::Storage(std::int64_t bytes)
    : data_(static_cast<std::byte*>(detail::allocate(static_cast<std::size_t>(bytes)))), bytes_(bytes) {}

Storage::Storage(void* data, std::int64_t bytes, std::function<void()> release)
    : data_(static_cast<std::byte*>(data)),
      bytes_(bytes),
      is_foreign_(true),
      is_shared_(true),
      release_(std::move(release)) {}

Storage::~Storage() {
  if (release_) release_();
  if (!is_foreign_) detail::deallocate(data_, static_cast<std::size_t>(bytes_));
}

}  // namespace lucid
