#pragma once
// A list that is nearly always short: its first elements lie in the list itself.

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <utility>

#include "lucid/small_blocks.hpp"

namespace lucid::detail {

/// Up to N elements without an allocation. Neither copied nor moved.
template <class T, std::size_t N>
class ShortList {
  static_assert(N > 0);

 public:
  ShortList() = default;
  ~ShortList() {
    clear();
    release();
  }
  ShortList(const ShortList&) = delete;
  ShortList& operator=(const ShortList&) = delete;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& back() { return data_[size_ - 1]; }
  operator std::span<const T>() const { return {data_, size_}; }

  void reserve(std::size_t count) {
    if (count > capacity_) grow(count);
  }
  /// `arguments` must not lie in the list.
  template <class... Arguments>
  T& emplace_back(Arguments&&... arguments) {
    if (size_ == capacity_) grow(2 * capacity_);
    T* const at = new (data_ + size_) T(std::forward<Arguments>(arguments)...);
    ++size_;
    return *at;
  }
  void pop_back() { data_[--size_].~T(); }
  void clear() {
    while (!empty()) pop_back();
  }

 private:
  T* own() { return reinterpret_cast<T*>(own_); }
  void grow(std::size_t capacity) {
    T* const larger = static_cast<T*>(allocate_small(capacity * sizeof(T)));
    for (std::size_t i = 0; i < size_; ++i) {
      new (larger + i) T(std::move(data_[i]));
      data_[i].~T();
    }
    release();
    data_ = larger;
    capacity_ = capacity;
  }
  void release() {
    if (data_ != own()) deallocate_small(data_, capacity_ * sizeof(T));
  }

  T* data_ = own();
  std::size_t size_ = 0, capacity_ = N;
  alignas(T) std::byte own_[N * sizeof(T)];
};

}  // namespace lucid::detail
